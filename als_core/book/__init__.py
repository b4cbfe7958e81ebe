"""From a notebook to a page of the book: what notebooks write with, their execution, freshness and rendering."""
