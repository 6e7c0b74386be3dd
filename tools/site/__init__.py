"""The documentation site: ``python -m tools.site`` collects the pages, generates the reference and checks the links."""
