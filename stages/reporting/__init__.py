"""The report: figures as pages, tables, plots and sentences. Nothing here changes a number."""
