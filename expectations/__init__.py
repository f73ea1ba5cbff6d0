"""What must hold of each noun: one Great Expectations suite per gate, over frames without text."""
