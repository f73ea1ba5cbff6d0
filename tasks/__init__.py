"""How each noun is made."""
