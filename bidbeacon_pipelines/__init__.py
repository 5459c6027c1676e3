"""BidBeacon's pipelines load Amazon Ads reports as Dagster assets and keep them fresh."""
