"""Files to passages: what is taken from each format, and files made to harm."""
