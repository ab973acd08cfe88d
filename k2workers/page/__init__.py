"""The status page: its files, who looks at it, and what is remembered for whoever opens it later. Knows no process; what is shown says ``processes/page_view.py``."""
