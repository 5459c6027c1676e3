"""A synchronous client of the Amazon Ads API: accounts, reports, exports, downloads."""
