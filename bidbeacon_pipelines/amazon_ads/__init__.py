"""A client of the Amazon Ads API: accounts, reports, exports, portfolios, downloads; synchronous, for one thread."""
