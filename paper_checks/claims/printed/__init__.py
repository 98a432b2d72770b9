"""What is printed: tables, figures, and the text about them."""
