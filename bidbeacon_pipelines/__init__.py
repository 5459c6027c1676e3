"""BidBeacon's pipelines: Amazon Ads reports as Dagster assets, kept complete, correct and fresh."""
