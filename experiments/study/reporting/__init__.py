"""From rows to tables: summaries, paired comparisons, reports, rendering."""
