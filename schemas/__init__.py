"""What each noun is: one pydantic model a row, and what a run can be told."""
