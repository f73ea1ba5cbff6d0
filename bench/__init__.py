"""Speed, memory and quality, measured beside what one would use instead; nothing here is a test."""
