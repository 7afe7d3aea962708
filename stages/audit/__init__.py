"""The figures of the evaluation, one small function each, and the page that shows them."""
