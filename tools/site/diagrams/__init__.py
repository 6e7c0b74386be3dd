"""The diagrams of the documents, as SVG made from the code: ``python -m tools.site.diagrams`` writes them."""
