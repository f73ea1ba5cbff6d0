"""The kinds of annotator: whoever says what an item is, they all end as rows of one shape."""
