"""Partners: applications, signing, credentials, staff and the portal's own pages."""
