"""One trial: its unit of work, how it is planned and judged, and the row that is stored."""
