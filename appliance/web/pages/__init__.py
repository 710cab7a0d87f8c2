"""The pages: each module is a part of the site, with its handlers and its routes."""
