//! `/metrics`: a collector that reads everything at the moment of the scrape.
