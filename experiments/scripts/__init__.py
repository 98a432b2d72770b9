"""Scripts that make stored data, notebooks and videos."""
