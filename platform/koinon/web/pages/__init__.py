"""The shells of the pages: base pages, components, sign-in and errors; contexts contribute panels and pages."""
