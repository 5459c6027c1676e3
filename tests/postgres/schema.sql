CREATE TABLE session_change_cursor (
	id BOOLEAN DEFAULT true NOT NULL, 
	epoch UUID DEFAULT gen_random_uuid() NOT NULL, 
	position BIGINT DEFAULT '0' NOT NULL, 
	published_snapshot pg_snapshot DEFAULT pg_current_snapshot() NOT NULL, 
	system_identifier BIGINT, 
	stepped_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_session_change_cursor PRIMARY KEY (id), 
	CONSTRAINT ck_session_change_cursor_one_row CHECK (id)
);

CREATE TABLE session_changes (
	position BIGINT NOT NULL, 
	session_id UUID NOT NULL, 
	ord BIGINT NOT NULL, 
	CONSTRAINT pk_session_changes PRIMARY KEY (position)
);

CREATE TABLE session_headers (
	id UUID NOT NULL, 
	job_name TEXT NOT NULL, 
	run_id TEXT, 
	step_key TEXT, 
	retry_number BIGINT DEFAULT '0' NOT NULL, 
	account_key TEXT, 
	status TEXT DEFAULT 'running' NOT NULL, 
	outcome TEXT, 
	recovered_by UUID, 
	started_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	finished_at TIMESTAMP WITH TIME ZONE, 
	error JSONB, 
	input JSONB DEFAULT '{}' NOT NULL, 
	labels JSONB DEFAULT '{}' NOT NULL, 
	revision BIGINT DEFAULT '1' NOT NULL, 
	changed_xid xid8 DEFAULT pg_current_xact_id() NOT NULL, 
	CONSTRAINT pk_session_headers PRIMARY KEY (id), 
	CONSTRAINT ck_session_headers_status_known CHECK (status IN ('running', 'succeeded', 'failed', 'cancelled', 'crashed')), 
	CONSTRAINT ck_session_headers_ended_has_end CHECK ((status = 'running') = (finished_at IS NULL)), 
	CONSTRAINT ck_session_headers_ends_after_start CHECK (finished_at >= started_at), 
	CONSTRAINT ck_session_headers_outcome_known CHECK (outcome IN ('ok', 'warnings', 'problems')), 
	CONSTRAINT ck_session_headers_ended_has_outcome CHECK ((status = 'running') = (outcome IS NULL)), 
	CONSTRAINT ck_session_headers_recovered_had_failed CHECK (recovered_by IS NULL OR status IN ('failed', 'crashed')), 
	CONSTRAINT ck_session_headers_job_named CHECK (job_name <> ''), 
	CONSTRAINT ck_session_headers_retry_counted CHECK (retry_number >= 0)
);

CREATE INDEX ix_session_headers_account_key_started_at_id ON session_headers (account_key, started_at, id);

CREATE INDEX ix_session_headers_changed_xid ON session_headers (changed_xid);

CREATE INDEX ix_session_headers_job_name_account_key_started_at_id ON session_headers (job_name, account_key, started_at, id);

CREATE INDEX ix_session_headers_job_name_started_at ON session_headers (job_name, started_at);

CREATE INDEX ix_session_headers_outcome_started_at ON session_headers (outcome, started_at);

CREATE INDEX ix_session_headers_run_id ON session_headers (run_id) WHERE run_id IS NOT NULL;

CREATE INDEX ix_session_headers_running ON session_headers (id) WHERE status = 'running';

CREATE INDEX ix_session_headers_started_at_id ON session_headers (started_at, id);

CREATE INDEX ix_session_headers_status_started_at ON session_headers (status, started_at);

CREATE UNIQUE INDEX uq_session_headers_attempt ON session_headers (run_id, step_key, retry_number) WHERE run_id IS NOT NULL AND step_key IS NOT NULL;

CREATE TABLE session_subjects (
	key TEXT NOT NULL, 
	label TEXT NOT NULL, 
	CONSTRAINT pk_session_subjects PRIMARY KEY (key)
);

CREATE TABLE session_actions (
	session_id UUID NOT NULL, 
	ord BIGINT NOT NULL, 
	type TEXT NOT NULL, 
	tone TEXT NOT NULL, 
	at TIMESTAMP WITH TIME ZONE NOT NULL, 
	payload JSONB NOT NULL, 
	changed_xid xid8 DEFAULT pg_current_xact_id() NOT NULL, 
	CONSTRAINT pk_session_actions PRIMARY KEY (session_id, ord), 
	CONSTRAINT ck_session_actions_ord_counted CHECK (ord > 0), 
	CONSTRAINT ck_session_actions_payload_is_object CHECK (jsonb_typeof(payload) = 'object'), 
	CONSTRAINT ck_session_actions_tone_known CHECK (tone IN ('neutral', 'progress', 'success', 'warning', 'error')), 
	CONSTRAINT fk_session_actions_session_id FOREIGN KEY(session_id) REFERENCES session_headers (id) ON DELETE CASCADE
);

CREATE INDEX ix_session_actions_changed_xid ON session_actions (changed_xid);

CREATE INDEX ix_session_actions_troubles ON session_actions (session_id, ord) WHERE tone IN ('warning', 'error');

CREATE INDEX ix_session_actions_type_at ON session_actions (type, at);

CREATE INDEX ix_session_actions_words ON session_actions USING gin ((to_tsvector('simple', type) || jsonb_to_tsvector('simple', payload, '["string"]')));

CREATE TABLE session_leases (
	session_id UUID NOT NULL, 
	holder TEXT NOT NULL, 
	heartbeat_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_session_leases PRIMARY KEY (session_id), 
	CONSTRAINT fk_session_leases_session_id FOREIGN KEY(session_id) REFERENCES session_headers (id) ON DELETE CASCADE
)
 WITH (fillfactor = 50);

CREATE INDEX ix_session_leases_expires_at ON session_leases (expires_at);

CREATE TABLE session_references (
	id BIGINT GENERATED ALWAYS AS IDENTITY, 
	session_id UUID NOT NULL, 
	ord BIGINT NOT NULL, 
	account_key TEXT NOT NULL, 
	dataset TEXT, 
	window_key TEXT, 
	effect TEXT NOT NULL, 
	started_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_session_references PRIMARY KEY (id), 
	CONSTRAINT fk_session_references_session_id_ord FOREIGN KEY(session_id, ord) REFERENCES session_actions (session_id, ord) ON DELETE CASCADE
);

CREATE INDEX ix_session_references_account_key_dataset_window_key ON session_references (account_key, dataset, window_key);

CREATE INDEX ix_session_references_account_key_started_at_session_id ON session_references (account_key, started_at, session_id);

CREATE INDEX ix_session_references_session_id_ord ON session_references (session_id, ord);

CREATE INDEX ix_session_references_window_key_started_at_session_id ON session_references (window_key, started_at, session_id) WHERE window_key IS NOT NULL;

CREATE TABLE access_tokens (
	credential TEXT NOT NULL, 
	access_token TEXT NOT NULL, 
	renew_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	ends_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_access_tokens PRIMARY KEY (credential)
);

CREATE TABLE ads_accounts (
	account_id TEXT COLLATE "C" NOT NULL, 
	ads_account_key TEXT NOT NULL, 
	name TEXT NOT NULL, 
	alias TEXT, 
	client_id TEXT NOT NULL, 
	credential TEXT DEFAULT 'default' NOT NULL, 
	credential_by TEXT, 
	listed_by TEXT[] DEFAULT '{}' NOT NULL, 
	region TEXT NOT NULL, 
	time_zone TEXT NOT NULL, 
	needs_attention JSONB, 
	needs_attention_for TEXT, 
	needs_attention_since TIMESTAMP WITH TIME ZONE, 
	refusals SMALLINT DEFAULT 0 NOT NULL, 
	refresh_every INTERVAL, 
	refresh_cron TEXT, 
	next_run_at TIMESTAMP WITH TIME ZONE, 
	cadence_by TEXT, 
	cadence_at TIMESTAMP WITH TIME ZONE, 
	last_run_at TIMESTAMP WITH TIME ZONE, 
	planned_at TIMESTAMP WITH TIME ZONE, 
	first_seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_ads_accounts PRIMARY KEY (account_id), 
	CONSTRAINT ck_ads_accounts_region_known CHECK (region IN ('NA', 'EU', 'FE')), 
	CONSTRAINT ck_ads_accounts_key_is_plain CHECK (ads_account_key ~ '^[a-z0-9-]*[.]?[A-Za-z0-9_-]+$'), 
	CONSTRAINT ck_ads_accounts_alias_is_plain CHECK (alias = btrim(alias) AND char_length(alias) BETWEEN 1 AND 80 AND alias !~ '[\x01-\x1f\x7f]'), 
	CONSTRAINT ck_ads_accounts_needs_attention_for_known CHECK (needs_attention_for IN ('account', 'credentials')), 
	CONSTRAINT ck_ads_accounts_needs_attention_for_something CHECK ((needs_attention IS NULL) = (needs_attention_for IS NULL)), 
	CONSTRAINT ck_ads_accounts_needs_attention_is_a_cause CHECK (jsonb_typeof(needs_attention) = 'object'), 
	CONSTRAINT ck_ads_accounts_refusals_counted CHECK (refusals >= 0), 
	CONSTRAINT ck_ads_accounts_refresh_every_in_reach CHECK (refresh_every BETWEEN '5 minutes' AND '31 days'), 
	CONSTRAINT ck_ads_accounts_refresh_cron_has_five CHECK (refresh_cron ~ '^[0-9A-Za-z*,/#-]+( [0-9A-Za-z*,/#-]+){4}$'), 
	CONSTRAINT ck_ads_accounts_one_cadence CHECK (num_nonnulls(refresh_every, refresh_cron) <= 1), 
	CONSTRAINT uq_ads_accounts_ads_account_key UNIQUE (ads_account_key)
);

CREATE TABLE alert_receivers (
	receiver SMALLINT NOT NULL, 
	next_attempt_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	failing_since TIMESTAMP WITH TIME ZONE, 
	error TEXT, 
	CONSTRAINT pk_alert_receivers PRIMARY KEY (receiver), 
	CONSTRAINT ck_alert_receivers_receiver_counted CHECK (receiver >= 1)
);

CREATE TABLE api_calls (
	id BIGINT GENERATED ALWAYS AS IDENTITY, 
	called_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	credential TEXT DEFAULT 'default' NOT NULL, 
	region TEXT NOT NULL, 
	call TEXT NOT NULL, 
	account_id TEXT COLLATE "C", 
	country_code TEXT, 
	status SMALLINT, 
	error TEXT, 
	duration INTERVAL NOT NULL, 
	queued INTERVAL NOT NULL, 
	waited INTERVAL NOT NULL, 
	retry_count SMALLINT NOT NULL, 
	request_id TEXT, 
	CONSTRAINT pk_api_calls PRIMARY KEY (id), 
	CONSTRAINT ck_api_calls_region_known CHECK (region IN ('NA', 'EU', 'FE')), 
	CONSTRAINT ck_api_calls_times_positive CHECK (duration >= '0' AND queued >= '0' AND waited >= '0')
);

CREATE INDEX ix_api_calls_account ON api_calls (account_id, called_at);

CREATE INDEX ix_api_calls_called_at ON api_calls (called_at);

CREATE TABLE credential_listings (
	id BIGINT GENERATED ALWAYS AS IDENTITY, 
	credential TEXT NOT NULL, 
	region TEXT, 
	cause JSONB, 
	session_id UUID NOT NULL, 
	listed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_credential_listings PRIMARY KEY (id), 
	CONSTRAINT ck_credential_listings_region_known CHECK (region IN ('NA', 'EU', 'FE')), 
	CONSTRAINT ck_credential_listings_cause_is_an_object CHECK (jsonb_typeof(cause) = 'object'), 
	CONSTRAINT ck_credential_listings_region_has_cause CHECK (region IS NULL OR cause IS NOT NULL)
);

CREATE TABLE daily_campaigns (
	account INTEGER NOT NULL, 
	window_date DATE NOT NULL, 
	row_key BYTEA NOT NULL, 
	ad_product TEXT NOT NULL, 
	currency_code TEXT NOT NULL, 
	campaign_id TEXT COLLATE "C", 
	campaign_name TEXT, 
	cost_type TEXT, 
	impressions BIGINT, 
	clicks BIGINT, 
	spend NUMERIC(20, 6), 
	orders BIGINT, 
	sales NUMERIC(20, 6), 
	units BIGINT, 
	viewable_impressions BIGINT, 
	new_to_brand_orders BIGINT, 
	new_to_brand_sales NUMERIC(20, 6), 
	new_to_brand_units BIGINT, 
	orders_promoted BIGINT, 
	sales_promoted NUMERIC(20, 6), 
	units_promoted BIGINT, 
	sales_halo NUMERIC(20, 6), 
	units_halo BIGINT, 
	request_id BIGINT NOT NULL, 
	CONSTRAINT pk_daily_campaigns PRIMARY KEY (account, window_date, row_key), 
	CONSTRAINT ck_daily_campaigns_key_is_a_digest CHECK (octet_length(row_key) = 16), 
	CONSTRAINT ck_daily_campaigns_counts_not_negative CHECK (least(impressions, clicks, orders, units, viewable_impressions, new_to_brand_orders, new_to_brand_units, orders_promoted, units_promoted, units_halo) >= 0), 
	CONSTRAINT ck_daily_campaigns_amounts_in_range CHECK (least(spend, sales, new_to_brand_sales, sales_promoted, sales_halo) >= 0 AND greatest(spend, sales, new_to_brand_sales, sales_promoted, sales_halo) < 1e14)
)
 WITH (fillfactor = 80);

COMMENT ON TABLE daily_campaigns IS 'Daily performance by campaign, as Amazon reported it last.';

COMMENT ON COLUMN daily_campaigns.account IS 'advertiser_accounts.id.';

COMMENT ON COLUMN daily_campaigns.window_date IS 'Day of the account''s own calendar.';

COMMENT ON COLUMN daily_campaigns.row_key IS 'Digest of currency, ad product and dimensions.';

COMMENT ON COLUMN daily_campaigns.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …';

COMMENT ON COLUMN daily_campaigns.currency_code IS 'Currency of the amounts.';

COMMENT ON COLUMN daily_campaigns.campaign_id IS 'Amazon''s id of the campaign.';

COMMENT ON COLUMN daily_campaigns.campaign_name IS 'The campaign''s name when the report was made.';

COMMENT ON COLUMN daily_campaigns.cost_type IS 'What the advertiser pays for: CPC (clicks) or VCPM (viewable impressions).';

COMMENT ON COLUMN daily_campaigns.impressions IS 'Times the ad was shown.';

COMMENT ON COLUMN daily_campaigns.clicks IS 'Valid clicks on the ad.';

COMMENT ON COLUMN daily_campaigns.spend IS 'Cost of clicks or impressions, in the row''s currency.';

COMMENT ON COLUMN daily_campaigns.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';

COMMENT ON COLUMN daily_campaigns.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.';

COMMENT ON COLUMN daily_campaigns.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';

COMMENT ON COLUMN daily_campaigns.viewable_impressions IS 'Impressions that met the viewability standard.';

COMMENT ON COLUMN daily_campaigns.new_to_brand_orders IS 'Orders of shoppers who had bought nothing of the brand in the 12 months before.';

COMMENT ON COLUMN daily_campaigns.new_to_brand_sales IS 'Sales to shoppers who had bought nothing of the brand in the 12 months before.';

COMMENT ON COLUMN daily_campaigns.new_to_brand_units IS 'Units sold to shoppers who had bought nothing of the brand in the 12 months before.';

COMMENT ON COLUMN daily_campaigns.orders_promoted IS 'Orders for the advertised product.';

COMMENT ON COLUMN daily_campaigns.sales_promoted IS 'Sales of the advertised product.';

COMMENT ON COLUMN daily_campaigns.units_promoted IS 'Units sold of the advertised product.';

COMMENT ON COLUMN daily_campaigns.sales_halo IS 'Sales of other products of the same brand.';

COMMENT ON COLUMN daily_campaigns.units_halo IS 'Units sold of other products of the same brand.';

COMMENT ON COLUMN daily_campaigns.request_id IS 'report_requests.id that wrote the row.';

CREATE TABLE daily_placements (
	account INTEGER NOT NULL, 
	window_date DATE NOT NULL, 
	row_key BYTEA NOT NULL, 
	ad_product TEXT NOT NULL, 
	currency_code TEXT NOT NULL, 
	campaign_id TEXT COLLATE "C", 
	placement TEXT, 
	placement_reported TEXT, 
	impressions BIGINT, 
	clicks BIGINT, 
	spend NUMERIC(20, 6), 
	orders BIGINT, 
	sales NUMERIC(20, 6), 
	units BIGINT, 
	viewable_impressions BIGINT, 
	request_id BIGINT NOT NULL, 
	CONSTRAINT pk_daily_placements PRIMARY KEY (account, window_date, row_key), 
	CONSTRAINT ck_daily_placements_key_is_a_digest CHECK (octet_length(row_key) = 16), 
	CONSTRAINT ck_daily_placements_counts_not_negative CHECK (least(impressions, clicks, orders, units, viewable_impressions) >= 0), 
	CONSTRAINT ck_daily_placements_amounts_in_range CHECK (least(spend, sales) >= 0 AND greatest(spend, sales) < 1e14)
)
 WITH (fillfactor = 80);

COMMENT ON TABLE daily_placements IS 'Daily performance by placement, as Amazon reported it last.';

COMMENT ON COLUMN daily_placements.account IS 'advertiser_accounts.id.';

COMMENT ON COLUMN daily_placements.window_date IS 'Day of the account''s own calendar.';

COMMENT ON COLUMN daily_placements.row_key IS 'Digest of currency, ad product and dimensions.';

COMMENT ON COLUMN daily_placements.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …';

COMMENT ON COLUMN daily_placements.currency_code IS 'Currency of the amounts.';

COMMENT ON COLUMN daily_placements.campaign_id IS 'Amazon''s id of the campaign.';

COMMENT ON COLUMN daily_placements.placement IS 'Where the ad was shown: TOP_OF_SEARCH, REST_OF_SEARCH, PRODUCT_PAGE, OFF_AMAZON, SITE_AMAZON_BUSINESS, or another value as Amazon reported it.';

COMMENT ON COLUMN daily_placements.placement_reported IS 'The placement as Amazon reported it.';

COMMENT ON COLUMN daily_placements.impressions IS 'Times the ad was shown.';

COMMENT ON COLUMN daily_placements.clicks IS 'Valid clicks on the ad.';

COMMENT ON COLUMN daily_placements.spend IS 'Cost of clicks or impressions, in the row''s currency.';

COMMENT ON COLUMN daily_placements.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';

COMMENT ON COLUMN daily_placements.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.';

COMMENT ON COLUMN daily_placements.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';

COMMENT ON COLUMN daily_placements.viewable_impressions IS 'Impressions that met the viewability standard.';

COMMENT ON COLUMN daily_placements.request_id IS 'report_requests.id that wrote the row.';

CREATE TABLE daily_products (
	account INTEGER NOT NULL, 
	window_date DATE NOT NULL, 
	row_key BYTEA NOT NULL, 
	ad_product TEXT NOT NULL, 
	currency_code TEXT NOT NULL, 
	campaign_id TEXT COLLATE "C", 
	ad_group_id TEXT COLLATE "C", 
	ad_id TEXT COLLATE "C", 
	product_id TEXT COLLATE "C", 
	sku TEXT, 
	marketplace TEXT, 
	impressions BIGINT, 
	clicks BIGINT, 
	spend NUMERIC(20, 6), 
	orders BIGINT, 
	sales NUMERIC(20, 6), 
	units BIGINT, 
	request_id BIGINT NOT NULL, 
	CONSTRAINT pk_daily_products PRIMARY KEY (account, window_date, row_key), 
	CONSTRAINT ck_daily_products_key_is_a_digest CHECK (octet_length(row_key) = 16), 
	CONSTRAINT ck_daily_products_counts_not_negative CHECK (least(impressions, clicks, orders, units) >= 0), 
	CONSTRAINT ck_daily_products_amounts_in_range CHECK (least(spend, sales) >= 0 AND greatest(spend, sales) < 1e14)
)
 WITH (fillfactor = 80);

COMMENT ON TABLE daily_products IS 'Daily performance by advertised product, as Amazon reported it last.';

COMMENT ON COLUMN daily_products.account IS 'advertiser_accounts.id.';

COMMENT ON COLUMN daily_products.window_date IS 'Day of the account''s own calendar.';

COMMENT ON COLUMN daily_products.row_key IS 'Digest of currency, ad product and dimensions.';

COMMENT ON COLUMN daily_products.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …';

COMMENT ON COLUMN daily_products.currency_code IS 'Currency of the amounts.';

COMMENT ON COLUMN daily_products.campaign_id IS 'Amazon''s id of the campaign.';

COMMENT ON COLUMN daily_products.ad_group_id IS 'Amazon''s id of the ad group.';

COMMENT ON COLUMN daily_products.ad_id IS 'Amazon''s id of the ad.';

COMMENT ON COLUMN daily_products.product_id IS 'ASIN of the advertised product.';

COMMENT ON COLUMN daily_products.sku IS 'The seller''s SKU of the advertised product.';

COMMENT ON COLUMN daily_products.marketplace IS 'Marketplace of the advertised product.';

COMMENT ON COLUMN daily_products.impressions IS 'Times the ad was shown.';

COMMENT ON COLUMN daily_products.clicks IS 'Valid clicks on the ad.';

COMMENT ON COLUMN daily_products.spend IS 'Cost of clicks or impressions, in the row''s currency.';

COMMENT ON COLUMN daily_products.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';

COMMENT ON COLUMN daily_products.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.';

COMMENT ON COLUMN daily_products.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';

COMMENT ON COLUMN daily_products.request_id IS 'report_requests.id that wrote the row.';

CREATE TABLE daily_purchased_products (
	account INTEGER NOT NULL, 
	window_date DATE NOT NULL, 
	row_key BYTEA NOT NULL, 
	ad_product TEXT NOT NULL, 
	currency_code TEXT NOT NULL, 
	campaign_id TEXT COLLATE "C", 
	ad_group_id TEXT COLLATE "C", 
	target_value TEXT, 
	match_type TEXT, 
	product_id TEXT COLLATE "C", 
	sku TEXT, 
	purchased_product_id TEXT COLLATE "C", 
	purchased_marketplace TEXT, 
	target_match BYTEA, 
	orders BIGINT, 
	sales NUMERIC(20, 6), 
	units BIGINT, 
	orders_promoted BIGINT, 
	sales_promoted NUMERIC(20, 6), 
	units_promoted BIGINT, 
	orders_halo BIGINT, 
	sales_halo NUMERIC(20, 6), 
	units_halo BIGINT, 
	orders_from_clicks BIGINT, 
	sales_from_clicks NUMERIC(20, 6), 
	units_from_clicks BIGINT, 
	new_to_brand_orders BIGINT, 
	new_to_brand_sales NUMERIC(20, 6), 
	new_to_brand_units BIGINT, 
	request_id BIGINT NOT NULL, 
	CONSTRAINT pk_daily_purchased_products PRIMARY KEY (account, window_date, row_key), 
	CONSTRAINT ck_daily_purchased_products_key_is_a_digest CHECK (octet_length(row_key) = 16), 
	CONSTRAINT ck_daily_purchased_products_counts_not_negative CHECK (least(orders, units, orders_promoted, units_promoted, orders_halo, units_halo, orders_from_clicks, units_from_clicks, new_to_brand_orders, new_to_brand_units) >= 0), 
	CONSTRAINT ck_daily_purchased_products_amounts_in_range CHECK (least(sales, sales_promoted, sales_halo, sales_from_clicks, new_to_brand_sales) >= 0 AND greatest(sales, sales_promoted, sales_halo, sales_from_clicks, new_to_brand_sales) < 1e14)
)
 WITH (fillfactor = 80);

COMMENT ON TABLE daily_purchased_products IS 'Daily conversions by purchased product, as Amazon reported it last.';

COMMENT ON COLUMN daily_purchased_products.account IS 'advertiser_accounts.id.';

COMMENT ON COLUMN daily_purchased_products.window_date IS 'Day of the account''s own calendar.';

COMMENT ON COLUMN daily_purchased_products.row_key IS 'Digest of currency, ad product and dimensions.';

COMMENT ON COLUMN daily_purchased_products.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …';

COMMENT ON COLUMN daily_purchased_products.currency_code IS 'Currency of the amounts.';

COMMENT ON COLUMN daily_purchased_products.campaign_id IS 'Amazon''s id of the campaign.';

COMMENT ON COLUMN daily_purchased_products.ad_group_id IS 'Amazon''s id of the ad group.';

COMMENT ON COLUMN daily_purchased_products.target_value IS 'The target as reported: a keyword, an expression, or the name of an automatic target.';

COMMENT ON COLUMN daily_purchased_products.match_type IS 'How the target is matched, as reported; null if the ad product has no match types.';

COMMENT ON COLUMN daily_purchased_products.product_id IS 'ASIN of the advertised product.';

COMMENT ON COLUMN daily_purchased_products.sku IS 'The seller''s SKU of the advertised product.';

COMMENT ON COLUMN daily_purchased_products.purchased_product_id IS 'ASIN of the product that was bought.';

COMMENT ON COLUMN daily_purchased_products.purchased_marketplace IS 'Marketplace in which the product was bought.';

COMMENT ON COLUMN daily_purchased_products.target_match IS 'Digest of what names the target; null where nothing does.';

COMMENT ON COLUMN daily_purchased_products.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';

COMMENT ON COLUMN daily_purchased_products.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.';

COMMENT ON COLUMN daily_purchased_products.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';

COMMENT ON COLUMN daily_purchased_products.orders_promoted IS 'Orders for the advertised product.';

COMMENT ON COLUMN daily_purchased_products.sales_promoted IS 'Sales of the advertised product.';

COMMENT ON COLUMN daily_purchased_products.units_promoted IS 'Units sold of the advertised product.';

COMMENT ON COLUMN daily_purchased_products.orders_halo IS 'Orders for other products of the same brand.';

COMMENT ON COLUMN daily_purchased_products.sales_halo IS 'Sales of other products of the same brand.';

COMMENT ON COLUMN daily_purchased_products.units_halo IS 'Units sold of other products of the same brand.';

COMMENT ON COLUMN daily_purchased_products.orders_from_clicks IS 'Orders after a click; orders after a view only are not counted.';

COMMENT ON COLUMN daily_purchased_products.sales_from_clicks IS 'Sales after a click; sales after a view only are not counted.';

COMMENT ON COLUMN daily_purchased_products.units_from_clicks IS 'Units sold after a click; units sold after a view only are not counted.';

COMMENT ON COLUMN daily_purchased_products.new_to_brand_orders IS 'Orders of shoppers who had bought nothing of the brand in the 12 months before.';

COMMENT ON COLUMN daily_purchased_products.new_to_brand_sales IS 'Sales to shoppers who had bought nothing of the brand in the 12 months before.';

COMMENT ON COLUMN daily_purchased_products.new_to_brand_units IS 'Units sold to shoppers who had bought nothing of the brand in the 12 months before.';

COMMENT ON COLUMN daily_purchased_products.request_id IS 'report_requests.id that wrote the row.';

CREATE TABLE daily_search_terms (
	account INTEGER NOT NULL, 
	window_date DATE NOT NULL, 
	row_key BYTEA NOT NULL, 
	ad_product TEXT NOT NULL, 
	currency_code TEXT NOT NULL, 
	campaign_id TEXT COLLATE "C", 
	ad_group_id TEXT COLLATE "C", 
	target_value TEXT, 
	match_type TEXT, 
	search_term TEXT, 
	target_match BYTEA, 
	impressions BIGINT, 
	clicks BIGINT, 
	spend NUMERIC(20, 6), 
	orders BIGINT, 
	sales NUMERIC(20, 6), 
	units BIGINT, 
	request_id BIGINT NOT NULL, 
	CONSTRAINT pk_daily_search_terms PRIMARY KEY (account, window_date, row_key), 
	CONSTRAINT ck_daily_search_terms_key_is_a_digest CHECK (octet_length(row_key) = 16), 
	CONSTRAINT ck_daily_search_terms_counts_not_negative CHECK (least(impressions, clicks, orders, units) >= 0), 
	CONSTRAINT ck_daily_search_terms_amounts_in_range CHECK (least(spend, sales) >= 0 AND greatest(spend, sales) < 1e14)
)
 WITH (fillfactor = 80);

COMMENT ON TABLE daily_search_terms IS 'Daily performance by search term, as Amazon reported it last.';

COMMENT ON COLUMN daily_search_terms.account IS 'advertiser_accounts.id.';

COMMENT ON COLUMN daily_search_terms.window_date IS 'Day of the account''s own calendar.';

COMMENT ON COLUMN daily_search_terms.row_key IS 'Digest of currency, ad product and dimensions.';

COMMENT ON COLUMN daily_search_terms.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …';

COMMENT ON COLUMN daily_search_terms.currency_code IS 'Currency of the amounts.';

COMMENT ON COLUMN daily_search_terms.campaign_id IS 'Amazon''s id of the campaign.';

COMMENT ON COLUMN daily_search_terms.ad_group_id IS 'Amazon''s id of the ad group.';

COMMENT ON COLUMN daily_search_terms.target_value IS 'The target as reported: a keyword, an expression, or the name of an automatic target.';

COMMENT ON COLUMN daily_search_terms.match_type IS 'How the target is matched, as reported; null if the ad product has no match types.';

COMMENT ON COLUMN daily_search_terms.search_term IS 'What the shopper typed, or the ASIN of the product page that the shopper saw. Only terms with a click are reported.';

COMMENT ON COLUMN daily_search_terms.target_match IS 'Digest of what names the target; null where nothing does.';

COMMENT ON COLUMN daily_search_terms.impressions IS 'Times the ad was shown.';

COMMENT ON COLUMN daily_search_terms.clicks IS 'Valid clicks on the ad.';

COMMENT ON COLUMN daily_search_terms.spend IS 'Cost of clicks or impressions, in the row''s currency.';

COMMENT ON COLUMN daily_search_terms.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';

COMMENT ON COLUMN daily_search_terms.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.';

COMMENT ON COLUMN daily_search_terms.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';

COMMENT ON COLUMN daily_search_terms.request_id IS 'report_requests.id that wrote the row.';

CREATE TABLE daily_targets (
	account INTEGER NOT NULL, 
	window_date DATE NOT NULL, 
	row_key BYTEA NOT NULL, 
	ad_product TEXT NOT NULL, 
	currency_code TEXT NOT NULL, 
	campaign_id TEXT COLLATE "C", 
	ad_group_id TEXT COLLATE "C", 
	target_value TEXT, 
	match_type TEXT, 
	target_match BYTEA, 
	impressions BIGINT, 
	clicks BIGINT, 
	spend NUMERIC(20, 6), 
	orders BIGINT, 
	sales NUMERIC(20, 6), 
	units BIGINT, 
	orders_promoted BIGINT, 
	sales_promoted NUMERIC(20, 6), 
	units_promoted BIGINT, 
	sales_halo NUMERIC(20, 6), 
	units_halo BIGINT, 
	request_id BIGINT NOT NULL, 
	CONSTRAINT pk_daily_targets PRIMARY KEY (account, window_date, row_key), 
	CONSTRAINT ck_daily_targets_key_is_a_digest CHECK (octet_length(row_key) = 16), 
	CONSTRAINT ck_daily_targets_counts_not_negative CHECK (least(impressions, clicks, orders, units, orders_promoted, units_promoted, units_halo) >= 0), 
	CONSTRAINT ck_daily_targets_amounts_in_range CHECK (least(spend, sales, sales_promoted, sales_halo) >= 0 AND greatest(spend, sales, sales_promoted, sales_halo) < 1e14)
)
 WITH (fillfactor = 80);

COMMENT ON TABLE daily_targets IS 'Daily performance by target, as Amazon reported it last.';

COMMENT ON COLUMN daily_targets.account IS 'advertiser_accounts.id.';

COMMENT ON COLUMN daily_targets.window_date IS 'Day of the account''s own calendar.';

COMMENT ON COLUMN daily_targets.row_key IS 'Digest of currency, ad product and dimensions.';

COMMENT ON COLUMN daily_targets.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …';

COMMENT ON COLUMN daily_targets.currency_code IS 'Currency of the amounts.';

COMMENT ON COLUMN daily_targets.campaign_id IS 'Amazon''s id of the campaign.';

COMMENT ON COLUMN daily_targets.ad_group_id IS 'Amazon''s id of the ad group.';

COMMENT ON COLUMN daily_targets.target_value IS 'The target as reported: a keyword, an expression, or the name of an automatic target.';

COMMENT ON COLUMN daily_targets.match_type IS 'How the target is matched, as reported; null if the ad product has no match types.';

COMMENT ON COLUMN daily_targets.target_match IS 'Digest of what names the target; null where nothing does.';

COMMENT ON COLUMN daily_targets.impressions IS 'Times the ad was shown.';

COMMENT ON COLUMN daily_targets.clicks IS 'Valid clicks on the ad.';

COMMENT ON COLUMN daily_targets.spend IS 'Cost of clicks or impressions, in the row''s currency.';

COMMENT ON COLUMN daily_targets.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';

COMMENT ON COLUMN daily_targets.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.';

COMMENT ON COLUMN daily_targets.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';

COMMENT ON COLUMN daily_targets.orders_promoted IS 'Orders for the advertised product.';

COMMENT ON COLUMN daily_targets.sales_promoted IS 'Sales of the advertised product.';

COMMENT ON COLUMN daily_targets.units_promoted IS 'Units sold of the advertised product.';

COMMENT ON COLUMN daily_targets.sales_halo IS 'Sales of other products of the same brand.';

COMMENT ON COLUMN daily_targets.units_halo IS 'Units sold of other products of the same brand.';

COMMENT ON COLUMN daily_targets.request_id IS 'report_requests.id that wrote the row.';

CREATE TABLE dataset_checks (
	dataset TEXT NOT NULL, 
	checked_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	session_id UUID NOT NULL, 
	differing BIGINT NOT NULL, 
	CONSTRAINT pk_dataset_checks PRIMARY KEY (dataset), 
	CONSTRAINT ck_dataset_checks_differing_counted CHECK (differing >= 0)
);

CREATE TABLE findings (
	key TEXT NOT NULL, 
	finding JSONB NOT NULL, 
	began_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	gone_at TIMESTAMP WITH TIME ZONE, 
	acknowledged JSONB, 
	last_alerts JSONB DEFAULT '{}' NOT NULL, 
	CONSTRAINT pk_findings PRIMARY KEY (key), 
	CONSTRAINT ck_findings_key_is_short CHECK (length(key) BETWEEN 1 AND 100), 
	CONSTRAINT ck_findings_ends_after_start CHECK (gone_at >= began_at)
);

CREATE TABLE hourly_campaigns (
	account INTEGER NOT NULL, 
	window_date DATE NOT NULL, 
	hour_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	row_key BYTEA NOT NULL, 
	ad_product TEXT NOT NULL, 
	currency_code TEXT NOT NULL, 
	campaign_id TEXT COLLATE "C", 
	impressions BIGINT, 
	clicks BIGINT, 
	spend NUMERIC(20, 6), 
	orders BIGINT, 
	sales NUMERIC(20, 6), 
	units BIGINT, 
	request_id BIGINT NOT NULL, 
	CONSTRAINT pk_hourly_campaigns PRIMARY KEY (account, window_date, hour_at, row_key), 
	CONSTRAINT ck_hourly_campaigns_key_is_a_digest CHECK (octet_length(row_key) = 16), 
	CONSTRAINT ck_hourly_campaigns_counts_not_negative CHECK (least(impressions, clicks, orders, units) >= 0), 
	CONSTRAINT ck_hourly_campaigns_amounts_in_range CHECK (least(spend, sales) >= 0 AND greatest(spend, sales) < 1e14), 
	CONSTRAINT ck_hourly_campaigns_hour_begins CHECK (extract(epoch FROM hour_at) % 900 = 0)
)
 PARTITION BY RANGE (window_date);

COMMENT ON TABLE hourly_campaigns IS 'Hourly performance by campaign, as Amazon reported it last.';

COMMENT ON COLUMN hourly_campaigns.account IS 'advertiser_accounts.id.';

COMMENT ON COLUMN hourly_campaigns.window_date IS 'Day of the account''s own calendar.';

COMMENT ON COLUMN hourly_campaigns.hour_at IS 'When the hour began.';

COMMENT ON COLUMN hourly_campaigns.row_key IS 'Digest of currency, ad product and dimensions.';

COMMENT ON COLUMN hourly_campaigns.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …';

COMMENT ON COLUMN hourly_campaigns.currency_code IS 'Currency of the amounts.';

COMMENT ON COLUMN hourly_campaigns.campaign_id IS 'Amazon''s id of the campaign.';

COMMENT ON COLUMN hourly_campaigns.impressions IS 'Times the ad was shown.';

COMMENT ON COLUMN hourly_campaigns.clicks IS 'Valid clicks on the ad.';

COMMENT ON COLUMN hourly_campaigns.spend IS 'Cost of clicks or impressions, in the row''s currency.';

COMMENT ON COLUMN hourly_campaigns.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';

COMMENT ON COLUMN hourly_campaigns.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.';

COMMENT ON COLUMN hourly_campaigns.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';

COMMENT ON COLUMN hourly_campaigns.request_id IS 'report_requests.id that wrote the row.';

CREATE TABLE hourly_products (
	account INTEGER NOT NULL, 
	window_date DATE NOT NULL, 
	hour_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	row_key BYTEA NOT NULL, 
	ad_product TEXT NOT NULL, 
	currency_code TEXT NOT NULL, 
	campaign_id TEXT COLLATE "C", 
	ad_group_id TEXT COLLATE "C", 
	ad_id TEXT COLLATE "C", 
	product_id TEXT COLLATE "C", 
	marketplace TEXT, 
	impressions BIGINT, 
	clicks BIGINT, 
	spend NUMERIC(20, 6), 
	orders BIGINT, 
	sales NUMERIC(20, 6), 
	units BIGINT, 
	request_id BIGINT NOT NULL, 
	CONSTRAINT pk_hourly_products PRIMARY KEY (account, window_date, hour_at, row_key), 
	CONSTRAINT ck_hourly_products_key_is_a_digest CHECK (octet_length(row_key) = 16), 
	CONSTRAINT ck_hourly_products_counts_not_negative CHECK (least(impressions, clicks, orders, units) >= 0), 
	CONSTRAINT ck_hourly_products_amounts_in_range CHECK (least(spend, sales) >= 0 AND greatest(spend, sales) < 1e14), 
	CONSTRAINT ck_hourly_products_hour_begins CHECK (extract(epoch FROM hour_at) % 900 = 0)
)
 PARTITION BY RANGE (window_date);

COMMENT ON TABLE hourly_products IS 'Hourly performance by advertised product, as Amazon reported it last.';

COMMENT ON COLUMN hourly_products.account IS 'advertiser_accounts.id.';

COMMENT ON COLUMN hourly_products.window_date IS 'Day of the account''s own calendar.';

COMMENT ON COLUMN hourly_products.hour_at IS 'When the hour began.';

COMMENT ON COLUMN hourly_products.row_key IS 'Digest of currency, ad product and dimensions.';

COMMENT ON COLUMN hourly_products.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …';

COMMENT ON COLUMN hourly_products.currency_code IS 'Currency of the amounts.';

COMMENT ON COLUMN hourly_products.campaign_id IS 'Amazon''s id of the campaign.';

COMMENT ON COLUMN hourly_products.ad_group_id IS 'Amazon''s id of the ad group.';

COMMENT ON COLUMN hourly_products.ad_id IS 'Amazon''s id of the ad.';

COMMENT ON COLUMN hourly_products.product_id IS 'ASIN of the advertised product.';

COMMENT ON COLUMN hourly_products.marketplace IS 'Marketplace of the advertised product.';

COMMENT ON COLUMN hourly_products.impressions IS 'Times the ad was shown.';

COMMENT ON COLUMN hourly_products.clicks IS 'Valid clicks on the ad.';

COMMENT ON COLUMN hourly_products.spend IS 'Cost of clicks or impressions, in the row''s currency.';

COMMENT ON COLUMN hourly_products.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';

COMMENT ON COLUMN hourly_products.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.';

COMMENT ON COLUMN hourly_products.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';

COMMENT ON COLUMN hourly_products.request_id IS 'report_requests.id that wrote the row.';

CREATE TABLE hourly_targets (
	account INTEGER NOT NULL, 
	window_date DATE NOT NULL, 
	hour_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	row_key BYTEA NOT NULL, 
	ad_product TEXT NOT NULL, 
	currency_code TEXT NOT NULL, 
	campaign_id TEXT COLLATE "C", 
	ad_group_id TEXT COLLATE "C", 
	target_value TEXT, 
	match_type TEXT, 
	target_match BYTEA, 
	impressions BIGINT, 
	clicks BIGINT, 
	spend NUMERIC(20, 6), 
	orders BIGINT, 
	sales NUMERIC(20, 6), 
	units BIGINT, 
	request_id BIGINT NOT NULL, 
	CONSTRAINT pk_hourly_targets PRIMARY KEY (account, window_date, hour_at, row_key), 
	CONSTRAINT ck_hourly_targets_key_is_a_digest CHECK (octet_length(row_key) = 16), 
	CONSTRAINT ck_hourly_targets_counts_not_negative CHECK (least(impressions, clicks, orders, units) >= 0), 
	CONSTRAINT ck_hourly_targets_amounts_in_range CHECK (least(spend, sales) >= 0 AND greatest(spend, sales) < 1e14), 
	CONSTRAINT ck_hourly_targets_hour_begins CHECK (extract(epoch FROM hour_at) % 900 = 0)
)
 PARTITION BY RANGE (window_date);

COMMENT ON TABLE hourly_targets IS 'Hourly performance by target, as Amazon reported it last.';

COMMENT ON COLUMN hourly_targets.account IS 'advertiser_accounts.id.';

COMMENT ON COLUMN hourly_targets.window_date IS 'Day of the account''s own calendar.';

COMMENT ON COLUMN hourly_targets.hour_at IS 'When the hour began.';

COMMENT ON COLUMN hourly_targets.row_key IS 'Digest of currency, ad product and dimensions.';

COMMENT ON COLUMN hourly_targets.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …';

COMMENT ON COLUMN hourly_targets.currency_code IS 'Currency of the amounts.';

COMMENT ON COLUMN hourly_targets.campaign_id IS 'Amazon''s id of the campaign.';

COMMENT ON COLUMN hourly_targets.ad_group_id IS 'Amazon''s id of the ad group.';

COMMENT ON COLUMN hourly_targets.target_value IS 'The target as reported: a keyword, an expression, or the name of an automatic target.';

COMMENT ON COLUMN hourly_targets.match_type IS 'How the target is matched, as reported; null if the ad product has no match types.';

COMMENT ON COLUMN hourly_targets.target_match IS 'Digest of what names the target; null where nothing does.';

COMMENT ON COLUMN hourly_targets.impressions IS 'Times the ad was shown.';

COMMENT ON COLUMN hourly_targets.clicks IS 'Valid clicks on the ad.';

COMMENT ON COLUMN hourly_targets.spend IS 'Cost of clicks or impressions, in the row''s currency.';

COMMENT ON COLUMN hourly_targets.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';

COMMENT ON COLUMN hourly_targets.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.';

COMMENT ON COLUMN hourly_targets.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';

COMMENT ON COLUMN hourly_targets.request_id IS 'report_requests.id that wrote the row.';

CREATE TABLE installation (
	only_row BOOLEAN DEFAULT true NOT NULL, 
	mode TEXT, 
	oldest_program TEXT NOT NULL, 
	views_version BIGINT NOT NULL, 
	grants JSONB, 
	restatements_from DATE, 
	latest_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_installation PRIMARY KEY (only_row), 
	CONSTRAINT ck_installation_only_row CHECK (only_row), 
	CONSTRAINT ck_installation_mode_known CHECK (mode IN ('sandbox', 'real'))
);

CREATE TABLE processes (
	kind TEXT NOT NULL, 
	host TEXT NOT NULL, 
	pid BIGINT NOT NULL, 
	version TEXT NOT NULL, 
	started_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	seen_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	clock_ahead_by INTERVAL DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_processes PRIMARY KEY (kind, host, pid)
);

CREATE TABLE proven_histories (
	client_id TEXT NOT NULL, 
	region TEXT NOT NULL, 
	dataset TEXT NOT NULL, 
	ad_product TEXT NOT NULL, 
	age_days BIGINT NOT NULL, 
	account_key TEXT NOT NULL, 
	window_date DATE NOT NULL, 
	proven_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_proven_histories PRIMARY KEY (client_id, region, dataset, ad_product), 
	CONSTRAINT ck_proven_histories_age_counted CHECK (age_days >= 0)
);

CREATE TABLE rate_limits (
	client_id TEXT NOT NULL, 
	region TEXT NOT NULL, 
	call_class TEXT NOT NULL, 
	account_id TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	next_start_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_rate_limits PRIMARY KEY (client_id, region, call_class, account_id), 
	CONSTRAINT ck_rate_limits_region_known CHECK (region IN ('NA', 'EU', 'FE')), 
	CONSTRAINT ck_rate_limits_call_class_known CHECK (call_class IN ('create', 'retrieve', 'exports', 'download', 'token', 'other'))
);

CREATE TABLE report_gates (
	client_id TEXT NOT NULL, 
	region TEXT NOT NULL, 
	in_flight_limit DOUBLE PRECISION NOT NULL, 
	pace INTERVAL NOT NULL, 
	next_create_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	refusals BIGINT NOT NULL, 
	refused_count BIGINT DEFAULT '0' NOT NULL, 
	closed_for INTERVAL DEFAULT '0' NOT NULL, 
	last_refused_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_report_gates PRIMARY KEY (client_id, region), 
	CONSTRAINT ck_report_gates_region_known CHECK (region IN ('NA', 'EU', 'FE')), 
	CONSTRAINT ck_report_gates_limit_lets_one_in CHECK (in_flight_limit >= 1), 
	CONSTRAINT ck_report_gates_pace_positive CHECK (pace > '0' AND refusals >= 0)
);

CREATE TABLE simulated_time (
	only_row BOOLEAN DEFAULT true NOT NULL, 
	ahead_by INTERVAL NOT NULL, 
	CONSTRAINT pk_simulated_time PRIMARY KEY (only_row), 
	CONSTRAINT ck_simulated_time_only_row CHECK (only_row)
);

CREATE TABLE unwritable_folders (
	host TEXT NOT NULL, 
	folder TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	since TIMESTAMP WITH TIME ZONE NOT NULL, 
	retry_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_unwritable_folders PRIMARY KEY (host, folder)
);

CREATE TABLE advertiser_accounts (
	account_id TEXT COLLATE "C" NOT NULL, 
	country_code TEXT NOT NULL, 
	id INTEGER GENERATED ALWAYS AS IDENTITY, 
	account_key TEXT NOT NULL, 
	name TEXT NOT NULL, 
	amazon_status TEXT NOT NULL, 
	profile_id TEXT, 
	entity_id TEXT, 
	region TEXT NOT NULL, 
	currency_code TEXT NOT NULL, 
	time_zone TEXT NOT NULL, 
	marketplace_id TEXT, 
	account_type TEXT, 
	paused BOOLEAN DEFAULT false NOT NULL, 
	paused_by TEXT, 
	paused_at TIMESTAMP WITH TIME ZONE, 
	first_seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	synced_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	entities_synced_at TIMESTAMP WITH TIME ZONE, 
	entities_wanted_by TEXT, 
	entities_wanted_at TIMESTAMP WITH TIME ZONE, 
	entities_claimed_by UUID, 
	export_refusals SMALLINT DEFAULT 0 NOT NULL, 
	export_refused_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_advertiser_accounts PRIMARY KEY (account_id, country_code), 
	CONSTRAINT ck_advertiser_accounts_country_is_iso CHECK (country_code ~ '^[A-Z]{2}$' AND country_code <> 'UK'), 
	CONSTRAINT ck_advertiser_accounts_currency_is_iso CHECK (currency_code ~ '^[A-Z]{3}$'), 
	CONSTRAINT ck_advertiser_accounts_region_known CHECK (region IN ('NA', 'EU', 'FE')), 
	CONSTRAINT ck_advertiser_accounts_key_is_plain CHECK (account_key ~ '^[A-Za-z0-9._-]+$'), 
	CONSTRAINT ck_advertiser_accounts_pause_complete CHECK ((paused_by IS NULL) = (paused_at IS NULL)), 
	CONSTRAINT ck_advertiser_accounts_entities_wanted_since CHECK ((entities_wanted_by IS NULL) = (entities_wanted_at IS NULL)), 
	CONSTRAINT ck_advertiser_accounts_entities_claimed_while_wanted CHECK (entities_claimed_by IS NULL OR entities_wanted_by IS NOT NULL), 
	CONSTRAINT ck_advertiser_accounts_paused_while_paused CHECK (paused OR paused_by IS NULL), 
	CONSTRAINT fk_advertiser_accounts_account_id FOREIGN KEY(account_id) REFERENCES ads_accounts (account_id), 
	CONSTRAINT uq_advertiser_accounts_id UNIQUE (id), 
	CONSTRAINT uq_advertiser_accounts_account_key UNIQUE (account_key)
);

COMMENT ON COLUMN advertiser_accounts.account_id IS 'Amazon''s id of the ads account.';

COMMENT ON COLUMN advertiser_accounts.country_code IS 'Country of the account: two letters, GB for the United Kingdom.';

COMMENT ON COLUMN advertiser_accounts.id IS 'Number by which the rows of reports refer to the account.';

COMMENT ON COLUMN advertiser_accounts.account_key IS 'Key of the account: its country and the key of its ads account.';

COMMENT ON COLUMN advertiser_accounts.name IS 'Name at Amazon.';

COMMENT ON COLUMN advertiser_accounts.amazon_status IS 'Status at Amazon, in its own words.';

COMMENT ON COLUMN advertiser_accounts.profile_id IS 'Amazon''s id of the advertising profile of this country.';

COMMENT ON COLUMN advertiser_accounts.entity_id IS 'Amazon''s id of the advertiser''s entity.';

COMMENT ON COLUMN advertiser_accounts.region IS 'Region of the API: NA, EU or FE.';

COMMENT ON COLUMN advertiser_accounts.currency_code IS 'Currency of the account''s amounts.';

COMMENT ON COLUMN advertiser_accounts.time_zone IS 'IANA time zone in which the account''s days are counted.';

COMMENT ON COLUMN advertiser_accounts.marketplace_id IS 'Amazon''s id of the marketplace.';

COMMENT ON COLUMN advertiser_accounts.account_type IS 'seller, vendor or agency; decides how long sales of Sponsored Products are attributed.';

COMMENT ON COLUMN advertiser_accounts.paused IS 'Whether a person has paused it: its reports and entities are not kept up to date.';

COMMENT ON COLUMN advertiser_accounts.paused_by IS 'Who has paused it.';

COMMENT ON COLUMN advertiser_accounts.paused_at IS 'When it was paused.';

COMMENT ON COLUMN advertiser_accounts.first_seen_at IS 'When Amazon listed it first.';

COMMENT ON COLUMN advertiser_accounts.synced_at IS 'When Amazon listed it last.';

COMMENT ON COLUMN advertiser_accounts.entities_synced_at IS 'When its entities were synced last; null before the first sync.';

COMMENT ON COLUMN advertiser_accounts.entities_wanted_by IS 'The user who requested a sync of its entities that has not ended.';

COMMENT ON COLUMN advertiser_accounts.entities_wanted_at IS 'When that sync was requested.';

COMMENT ON COLUMN advertiser_accounts.entities_claimed_by IS 'The session that runs that sync, for as long as its lease lives.';

COMMENT ON COLUMN advertiser_accounts.export_refusals IS 'How often in a row Amazon has refused an export (401 or 403).';

COMMENT ON COLUMN advertiser_accounts.export_refused_at IS 'When Amazon refused an export last.';

CREATE TABLE registry_overrides (
	id BIGINT GENERATED ALWAYS AS IDENTITY, 
	region TEXT NOT NULL, 
	dataset TEXT NOT NULL, 
	account_id TEXT COLLATE "C", 
	subject TEXT NOT NULL, 
	value TEXT NOT NULL, 
	set_by TEXT NOT NULL, 
	set_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_registry_overrides PRIMARY KEY (id), 
	CONSTRAINT ck_registry_overrides_region_known CHECK (region IN ('NA', 'EU', 'FE')), 
	CONSTRAINT ck_registry_overrides_subject_known CHECK (subject ~ '^(grouping|(field|history|period):.+)$'), 
	CONSTRAINT ck_registry_overrides_days_counted CHECK (subject !~ '^(history|period):' OR value ~ '^[1-9][0-9]{0,3}$'), 
	CONSTRAINT ck_registry_overrides_grouping_of_region CHECK (subject <> 'grouping' OR account_id IS NULL), 
	CONSTRAINT fk_registry_overrides_account_id FOREIGN KEY(account_id) REFERENCES ads_accounts (account_id)
);

CREATE UNIQUE INDEX uq_registry_overrides ON registry_overrides (region, dataset, account_id, subject) NULLS NOT DISTINCT;

CREATE TABLE report_requests (
	id BIGINT GENERATED ALWAYS AS IDENTITY, 
	account_id TEXT COLLATE "C" NOT NULL, 
	dataset TEXT NOT NULL, 
	report TEXT NOT NULL, 
	start_date DATE NOT NULL, 
	end_date DATE NOT NULL, 
	status TEXT DEFAULT 'planned' NOT NULL, 
	by_hand BOOLEAN DEFAULT false NOT NULL, 
	report_id TEXT, 
	amazon_status TEXT, 
	attempts BIGINT DEFAULT '0' NOT NULL, 
	polls BIGINT DEFAULT '0' NOT NULL, 
	loads BIGINT DEFAULT '0' NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	sent_at TIMESTAMP WITH TIME ZONE, 
	late_at TIMESTAMP WITH TIME ZONE, 
	next_step_at TIMESTAMP WITH TIME ZONE, 
	finished_at TIMESTAMP WITH TIME ZONE, 
	failure_kind TEXT, 
	cause JSONB, 
	first_failed_at TIMESTAMP WITH TIME ZONE, 
	locked_by UUID, 
	narrows BIGINT, 
	CONSTRAINT pk_report_requests PRIMARY KEY (id), 
	CONSTRAINT ck_report_requests_range_in_order CHECK (start_date <= end_date), 
	CONSTRAINT ck_report_requests_status_known CHECK (status IN ('planned', 'sent', 'in_flight', 'completed', 'loaded', 'failed')), 
	CONSTRAINT ck_report_requests_in_flight_has_report CHECK (status NOT IN ('in_flight', 'completed') OR report_id IS NOT NULL), 
	CONSTRAINT ck_report_requests_ended_has_end CHECK ((status IN ('loaded', 'failed')) = (finished_at IS NOT NULL)), 
	CONSTRAINT ck_report_requests_cause_is_an_object CHECK (jsonb_typeof(cause) = 'object'), 
	CONSTRAINT fk_report_requests_account_id FOREIGN KEY(account_id) REFERENCES ads_accounts (account_id), 
	CONSTRAINT fk_report_requests_narrows FOREIGN KEY(narrows) REFERENCES report_requests (id)
);

CREATE INDEX ix_report_requests_account ON report_requests (account_id, dataset, report, sent_at);

CREATE INDEX ix_report_requests_narrows ON report_requests (narrows) WHERE narrows IS NOT NULL;

CREATE INDEX ix_report_requests_open ON report_requests (next_step_at) WHERE status IN ('planned', 'sent', 'in_flight', 'completed');

CREATE TABLE ad_groups (
	account_id TEXT COLLATE "C" NOT NULL, 
	country_code TEXT NOT NULL, 
	ad_group_id TEXT COLLATE "C" NOT NULL, 
	campaign_id TEXT COLLATE "C" NOT NULL, 
	name TEXT, 
	default_bid NUMERIC(20, 6), 
	currency_code TEXT, 
	creative_type TEXT, 
	goal TEXT, 
	kpi TEXT, 
	state TEXT NOT NULL, 
	ad_product TEXT, 
	delivery_status TEXT, 
	delivery_reasons JSONB, 
	created_at TIMESTAMP WITH TIME ZONE, 
	updated_at TIMESTAMP WITH TIME ZONE, 
	details JSONB DEFAULT '{}' NOT NULL, 
	seen_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	missing_since TIMESTAMP WITH TIME ZONE, 
	gone_since TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_ad_groups PRIMARY KEY (account_id, country_code, ad_group_id), 
	CONSTRAINT fk_ad_groups_account_id_country_code FOREIGN KEY(account_id, country_code) REFERENCES advertiser_accounts (account_id, country_code)
);

COMMENT ON TABLE ad_groups IS 'An ad group of a campaign, as Amazon sent it last';

COMMENT ON COLUMN ad_groups.account_id IS 'Amazon''s id of the ads account';

COMMENT ON COLUMN ad_groups.country_code IS 'Country of the account: two letters, GB for the United Kingdom';

COMMENT ON COLUMN ad_groups.ad_group_id IS 'Amazon''s id of the ad group';

COMMENT ON COLUMN ad_groups.campaign_id IS 'Amazon''s id of the campaign';

COMMENT ON COLUMN ad_groups.name IS 'Name at Amazon';

COMMENT ON COLUMN ad_groups.default_bid IS 'Bid of targets that have none of their own, in currency_code; null in Sponsored Brands';

COMMENT ON COLUMN ad_groups.currency_code IS 'Currency of the amounts';

COMMENT ON COLUMN ad_groups.creative_type IS 'Kind of creative, if Amazon reports it';

COMMENT ON COLUMN ad_groups.goal IS 'What Sponsored Display optimizes for';

COMMENT ON COLUMN ad_groups.kpi IS 'The measure of that goal';

COMMENT ON COLUMN ad_groups.state IS 'ENABLED, PAUSED, ARCHIVED, or another word of Amazon''s';

COMMENT ON COLUMN ad_groups.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS or SPONSORED_DISPLAY';

COMMENT ON COLUMN ad_groups.delivery_status IS 'DELIVERING, NOT_DELIVERING or UNAVAILABLE';

COMMENT ON COLUMN ad_groups.delivery_reasons IS 'Why it is not delivering: a list';

COMMENT ON COLUMN ad_groups.created_at IS 'When it was created at Amazon';

COMMENT ON COLUMN ad_groups.updated_at IS 'When it was last changed at Amazon';

COMMENT ON COLUMN ad_groups.details IS 'Every field that no column holds, as Amazon sent it';

COMMENT ON COLUMN ad_groups.seen_at IS 'When Amazon sent it last';

COMMENT ON COLUMN ad_groups.missing_since IS 'First complete export without it; null while Amazon sends it';

COMMENT ON COLUMN ad_groups.gone_since IS 'Second complete export in a row without it; null while it exists';

CREATE TABLE ads (
	account_id TEXT COLLATE "C" NOT NULL, 
	country_code TEXT NOT NULL, 
	ad_id TEXT COLLATE "C" NOT NULL, 
	ad_group_id TEXT COLLATE "C", 
	campaign_id TEXT COLLATE "C", 
	name TEXT, 
	ad_type TEXT, 
	asins TEXT[] DEFAULT '{}' NOT NULL, 
	skus TEXT[] DEFAULT '{}' NOT NULL, 
	landing_page_type TEXT, 
	landing_page_url TEXT, 
	state TEXT NOT NULL, 
	ad_product TEXT, 
	delivery_status TEXT, 
	delivery_reasons JSONB, 
	created_at TIMESTAMP WITH TIME ZONE, 
	updated_at TIMESTAMP WITH TIME ZONE, 
	details JSONB DEFAULT '{}' NOT NULL, 
	seen_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	missing_since TIMESTAMP WITH TIME ZONE, 
	gone_since TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_ads PRIMARY KEY (account_id, country_code, ad_id), 
	CONSTRAINT fk_ads_account_id_country_code FOREIGN KEY(account_id, country_code) REFERENCES advertiser_accounts (account_id, country_code)
);

COMMENT ON TABLE ads IS 'An ad of an ad group, as Amazon sent it last';

COMMENT ON COLUMN ads.account_id IS 'Amazon''s id of the ads account';

COMMENT ON COLUMN ads.country_code IS 'Country of the account: two letters, GB for the United Kingdom';

COMMENT ON COLUMN ads.ad_id IS 'Amazon''s id of the ad';

COMMENT ON COLUMN ads.ad_group_id IS 'Amazon''s id of the ad group';

COMMENT ON COLUMN ads.campaign_id IS 'Amazon''s id of the campaign';

COMMENT ON COLUMN ads.name IS 'Name at Amazon';

COMMENT ON COLUMN ads.ad_type IS 'PRODUCT_AD, PRODUCT_COLLECTION, VIDEO, IMAGE …';

COMMENT ON COLUMN ads.asins IS 'The products it shows, in Amazon''s order';

COMMENT ON COLUMN ads.skus IS 'The seller''s SKUs of these products';

COMMENT ON COLUMN ads.landing_page_type IS 'Kind of page that a click leads to';

COMMENT ON COLUMN ads.landing_page_url IS 'The page that a click leads to';

COMMENT ON COLUMN ads.state IS 'ENABLED, PAUSED, ARCHIVED, or another word of Amazon''s';

COMMENT ON COLUMN ads.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS or SPONSORED_DISPLAY';

COMMENT ON COLUMN ads.delivery_status IS 'DELIVERING, NOT_DELIVERING or UNAVAILABLE';

COMMENT ON COLUMN ads.delivery_reasons IS 'Why it is not delivering: a list';

COMMENT ON COLUMN ads.created_at IS 'When it was created at Amazon';

COMMENT ON COLUMN ads.updated_at IS 'When it was last changed at Amazon';

COMMENT ON COLUMN ads.details IS 'Every field that no column holds, as Amazon sent it';

COMMENT ON COLUMN ads.seen_at IS 'When Amazon sent it last';

COMMENT ON COLUMN ads.missing_since IS 'First complete export without it; null while Amazon sends it';

COMMENT ON COLUMN ads.gone_since IS 'Second complete export in a row without it; null while it exists';

CREATE TABLE campaigns (
	account_id TEXT COLLATE "C" NOT NULL, 
	country_code TEXT NOT NULL, 
	campaign_id TEXT COLLATE "C" NOT NULL, 
	name TEXT, 
	portfolio_id TEXT COLLATE "C", 
	brand_entity_id TEXT, 
	targeting TEXT, 
	cost_type TEXT, 
	start_date DATE, 
	end_date DATE, 
	budget NUMERIC(20, 6), 
	rule_budget NUMERIC(20, 6), 
	budget_type TEXT, 
	budget_recurrence TEXT, 
	currency_code TEXT, 
	bid_strategy TEXT, 
	placement_bid_adjustments JSONB, 
	is_reported BOOLEAN DEFAULT true NOT NULL, 
	state TEXT NOT NULL, 
	ad_product TEXT, 
	delivery_status TEXT, 
	delivery_reasons JSONB, 
	created_at TIMESTAMP WITH TIME ZONE, 
	updated_at TIMESTAMP WITH TIME ZONE, 
	details JSONB DEFAULT '{}' NOT NULL, 
	seen_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	missing_since TIMESTAMP WITH TIME ZONE, 
	gone_since TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_campaigns PRIMARY KEY (account_id, country_code, campaign_id), 
	CONSTRAINT fk_campaigns_account_id_country_code FOREIGN KEY(account_id, country_code) REFERENCES advertiser_accounts (account_id, country_code)
);

CREATE INDEX ix_campaigns_not_reported ON campaigns (account_id, country_code) WHERE NOT is_reported;

CREATE INDEX ix_campaigns_started ON campaigns (account_id, country_code, coalesce(ad_product, 'SPONSORED_PRODUCTS'), coalesce(start_date, '-infinity'));

COMMENT ON TABLE campaigns IS 'A campaign of an account, as Amazon sent it last';

COMMENT ON COLUMN campaigns.account_id IS 'Amazon''s id of the ads account';

COMMENT ON COLUMN campaigns.country_code IS 'Country of the account: two letters, GB for the United Kingdom';

COMMENT ON COLUMN campaigns.campaign_id IS 'Amazon''s id of the campaign';

COMMENT ON COLUMN campaigns.name IS 'Name at Amazon';

COMMENT ON COLUMN campaigns.portfolio_id IS 'Amazon''s id of the portfolio';

COMMENT ON COLUMN campaigns.brand_entity_id IS 'The brand of Sponsored Brands';

COMMENT ON COLUMN campaigns.targeting IS 'AUTO, MANUAL, or a tactic such as T00020';

COMMENT ON COLUMN campaigns.cost_type IS 'CPC or VCPM, if Amazon reports it';

COMMENT ON COLUMN campaigns.start_date IS 'First day, on the account''s own calendar';

COMMENT ON COLUMN campaigns.end_date IS 'Last day, on the account''s own calendar; null where it has none';

COMMENT ON COLUMN campaigns.budget IS 'What the advertiser set, in currency_code';

COMMENT ON COLUMN campaigns.rule_budget IS 'The budget that a budget rule made of it';

COMMENT ON COLUMN campaigns.budget_type IS 'What the budget limits, for example MONETARY';

COMMENT ON COLUMN campaigns.budget_recurrence IS 'DAILY or LIFETIME';

COMMENT ON COLUMN campaigns.currency_code IS 'Currency of the amounts';

COMMENT ON COLUMN campaigns.bid_strategy IS 'How Amazon adjusts bids, in its own words';

COMMENT ON COLUMN campaigns.placement_bid_adjustments IS 'A list of placements, each with a percentage';

COMMENT ON COLUMN campaigns.is_reported IS 'Whether Amazon reports its numbers: false for one of Sponsored Brands without ad groups';

COMMENT ON COLUMN campaigns.state IS 'ENABLED, PAUSED, ARCHIVED, or another word of Amazon''s';

COMMENT ON COLUMN campaigns.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS or SPONSORED_DISPLAY';

COMMENT ON COLUMN campaigns.delivery_status IS 'DELIVERING, NOT_DELIVERING or UNAVAILABLE';

COMMENT ON COLUMN campaigns.delivery_reasons IS 'Why it is not delivering: a list';

COMMENT ON COLUMN campaigns.created_at IS 'When it was created at Amazon';

COMMENT ON COLUMN campaigns.updated_at IS 'When it was last changed at Amazon';

COMMENT ON COLUMN campaigns.details IS 'Every field that no column holds, as Amazon sent it';

COMMENT ON COLUMN campaigns.seen_at IS 'When Amazon sent it last';

COMMENT ON COLUMN campaigns.missing_since IS 'First complete export without it; null while Amazon sends it';

COMMENT ON COLUMN campaigns.gone_since IS 'Second complete export in a row without it; null while it exists';

CREATE TABLE dataset_windows (
	account_id TEXT COLLATE "C" NOT NULL, 
	country_code TEXT NOT NULL, 
	dataset TEXT NOT NULL, 
	report TEXT NOT NULL, 
	through_date DATE NOT NULL, 
	windows BIGINT DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_dataset_windows PRIMARY KEY (account_id, country_code, dataset, report), 
	CONSTRAINT fk_dataset_windows_account_id_country_code FOREIGN KEY(account_id, country_code) REFERENCES advertiser_accounts (account_id, country_code)
);

CREATE TABLE entity_exports (
	id BIGINT GENERATED ALWAYS AS IDENTITY, 
	account_id TEXT COLLATE "C" NOT NULL, 
	country_code TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	export_id TEXT NOT NULL, 
	status TEXT DEFAULT 'in_flight' NOT NULL, 
	cause JSONB, 
	row_count BIGINT, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	finished_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_entity_exports PRIMARY KEY (id), 
	CONSTRAINT fk_entity_exports_account_id_country_code FOREIGN KEY(account_id, country_code) REFERENCES advertiser_accounts (account_id, country_code), 
	CONSTRAINT ck_entity_exports_kind_known CHECK (kind IN ('campaigns', 'adGroups', 'ads', 'targets')), 
	CONSTRAINT ck_entity_exports_status_known CHECK (status IN ('in_flight', 'loaded', 'failed'))
);

CREATE UNIQUE INDEX uq_entity_exports_in_flight ON entity_exports (account_id, country_code, kind) WHERE status = 'in_flight';

CREATE TABLE entity_problems (
	id BIGINT GENERATED ALWAYS AS IDENTITY, 
	account_id TEXT COLLATE "C" NOT NULL, 
	country_code TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	entity_id TEXT, 
	set_aside BOOLEAN NOT NULL, 
	cause JSONB NOT NULL, 
	raw TEXT NOT NULL, 
	noticed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_entity_problems PRIMARY KEY (id), 
	CONSTRAINT fk_entity_problems_account_id_country_code FOREIGN KEY(account_id, country_code) REFERENCES advertiser_accounts (account_id, country_code), 
	CONSTRAINT ck_entity_problems_kind_known CHECK (kind IN ('campaigns', 'adGroups', 'ads', 'targets', 'portfolios'))
);

CREATE INDEX ix_entity_problems_account ON entity_problems (account_id, country_code, kind);

CREATE TABLE loads_by_hand (
	id BIGINT GENERATED ALWAYS AS IDENTITY, 
	session_id UUID NOT NULL, 
	account_id TEXT COLLATE "C" NOT NULL, 
	country_code TEXT NOT NULL, 
	dataset TEXT NOT NULL, 
	days DATE[] NOT NULL, 
	requested_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_loads_by_hand PRIMARY KEY (id), 
	CONSTRAINT fk_loads_by_hand_account_id_country_code FOREIGN KEY(account_id, country_code) REFERENCES advertiser_accounts (account_id, country_code)
);

CREATE INDEX ix_loads_by_hand_session ON loads_by_hand (session_id);

CREATE TABLE portfolios (
	account_id TEXT COLLATE "C" NOT NULL, 
	country_code TEXT NOT NULL, 
	portfolio_id TEXT COLLATE "C" NOT NULL, 
	name TEXT, 
	in_budget BOOLEAN, 
	budget NUMERIC(20, 6), 
	currency_code TEXT, 
	budget_policy TEXT, 
	start_date DATE, 
	end_date DATE, 
	state TEXT NOT NULL, 
	details JSONB DEFAULT '{}' NOT NULL, 
	seen_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	missing_since TIMESTAMP WITH TIME ZONE, 
	gone_since TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_portfolios PRIMARY KEY (account_id, country_code, portfolio_id), 
	CONSTRAINT fk_portfolios_account_id_country_code FOREIGN KEY(account_id, country_code) REFERENCES advertiser_accounts (account_id, country_code)
);

COMMENT ON TABLE portfolios IS 'A portfolio of campaigns, as Amazon sent it last';

COMMENT ON COLUMN portfolios.account_id IS 'Amazon''s id of the ads account';

COMMENT ON COLUMN portfolios.country_code IS 'Country of the account: two letters, GB for the United Kingdom';

COMMENT ON COLUMN portfolios.portfolio_id IS 'Amazon''s id of the portfolio';

COMMENT ON COLUMN portfolios.name IS 'Name at Amazon';

COMMENT ON COLUMN portfolios.in_budget IS 'Whether its budget is not used up';

COMMENT ON COLUMN portfolios.budget IS 'Budget that its campaigns share, in currency_code';

COMMENT ON COLUMN portfolios.currency_code IS 'Currency of the amounts';

COMMENT ON COLUMN portfolios.budget_policy IS 'DATE_RANGE, MONTHLY_RECURRING or NO_CAP';

COMMENT ON COLUMN portfolios.start_date IS 'First day, on the account''s own calendar';

COMMENT ON COLUMN portfolios.end_date IS 'Last day, on the account''s own calendar; null where it has none';

COMMENT ON COLUMN portfolios.state IS 'ENABLED, PAUSED, ARCHIVED, or another word of Amazon''s';

COMMENT ON COLUMN portfolios.details IS 'Every field that no column holds, as Amazon sent it';

COMMENT ON COLUMN portfolios.seen_at IS 'When Amazon sent it last';

COMMENT ON COLUMN portfolios.missing_since IS 'First complete export without it; null while Amazon sends it';

COMMENT ON COLUMN portfolios.gone_since IS 'Second complete export in a row without it; null while it exists';

CREATE TABLE quarantined_rows (
	id BIGINT GENERATED ALWAYS AS IDENTITY, 
	account_id TEXT COLLATE "C" NOT NULL, 
	country_code TEXT NOT NULL, 
	dataset TEXT NOT NULL, 
	window_date DATE, 
	request_id BIGINT NOT NULL, 
	row_number BIGINT NOT NULL, 
	cause JSONB NOT NULL, 
	raw TEXT NOT NULL, 
	quarantined_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_quarantined_rows PRIMARY KEY (id), 
	CONSTRAINT fk_quarantined_rows_account_id_country_code FOREIGN KEY(account_id, country_code) REFERENCES advertiser_accounts (account_id, country_code)
);

CREATE INDEX ix_quarantined_rows_window ON quarantined_rows (account_id, country_code, dataset, window_date);

CREATE TABLE report_loads (
	request_id BIGINT NOT NULL, 
	account_id TEXT COLLATE "C" NOT NULL, 
	country_code TEXT NOT NULL, 
	dataset TEXT NOT NULL, 
	report TEXT NOT NULL, 
	start_date DATE NOT NULL, 
	end_date DATE NOT NULL, 
	data_as_of TIMESTAMP WITH TIME ZONE NOT NULL, 
	session_id UUID NOT NULL, 
	loaded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	rows_read BIGINT NOT NULL, 
	rows_loaded BIGINT NOT NULL, 
	rows_summed BIGINT NOT NULL, 
	rows_quarantined BIGINT NOT NULL, 
	rows_withheld BIGINT NOT NULL, 
	rows_ignored BIGINT NOT NULL, 
	silent_days DATE[] DEFAULT '{}' NOT NULL, 
	CONSTRAINT pk_report_loads PRIMARY KEY (request_id, account_id, country_code), 
	CONSTRAINT fk_report_loads_account_id_country_code FOREIGN KEY(account_id, country_code) REFERENCES advertiser_accounts (account_id, country_code), 
	CONSTRAINT ck_report_loads_every_row_is_counted CHECK (rows_read = rows_loaded + rows_summed + rows_quarantined + rows_withheld + rows_ignored), 
	CONSTRAINT ck_report_loads_counts_not_negative CHECK (least(rows_loaded, rows_summed, rows_quarantined, rows_withheld, rows_ignored) >= 0)
);

CREATE INDEX ix_report_loads_silent ON report_loads (data_as_of) WHERE silent_days <> '{}';

CREATE TABLE report_windows (
	account_id TEXT COLLATE "C" NOT NULL, 
	country_code TEXT NOT NULL, 
	dataset TEXT NOT NULL, 
	report TEXT NOT NULL, 
	window_date DATE NOT NULL, 
	status TEXT DEFAULT 'missing' NOT NULL, 
	next_refresh_at TIMESTAMP WITH TIME ZONE, 
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	request_id BIGINT, 
	last_requested_at TIMESTAMP WITH TIME ZONE, 
	last_loaded_at TIMESTAMP WITH TIME ZONE, 
	data_as_of TIMESTAMP WITH TIME ZONE, 
	first_data_as_of TIMESTAMP WITH TIME ZONE, 
	load_count BIGINT DEFAULT '0' NOT NULL, 
	recorded_load_count BIGINT DEFAULT '0' NOT NULL, 
	recorded_run_id UUID, 
	loaded_by_request BIGINT, 
	row_count BIGINT, 
	quarantined_count BIGINT, 
	unresolved_count BIGINT, 
	spend NUMERIC(38, 6), 
	sales NUMERIC(38, 6), 
	product_totals JSONB DEFAULT '{}' NOT NULL, 
	cause JSONB, 
	cause_since TIMESTAMP WITH TIME ZONE, 
	suspicious_digest TEXT, 
	suspicious_rows BIGINT, 
	suspicious_spend NUMERIC(38, 6), 
	suspicious_count BIGINT DEFAULT '0' NOT NULL, 
	decision TEXT, 
	decided_by TEXT, 
	decided_at TIMESTAMP WITH TIME ZONE, 
	last_request_id BIGINT, 
	wanted_by TEXT, 
	wanted_at TIMESTAMP WITH TIME ZONE, 
	claimed_by UUID, 
	refused_alone_at TIMESTAMP WITH TIME ZONE, 
	not_served_since TIMESTAMP WITH TIME ZONE, 
	not_served TEXT[] DEFAULT '{}' NOT NULL, 
	cause_key UUID GENERATED ALWAYS AS (CAST(md5(CAST(cause - 'detail' AS text)) AS uuid)) STORED, 
	CONSTRAINT pk_report_windows PRIMARY KEY (account_id, country_code, dataset, report, window_date), 
	CONSTRAINT fk_report_windows_account_id_country_code FOREIGN KEY(account_id, country_code) REFERENCES advertiser_accounts (account_id, country_code), 
	CONSTRAINT ck_report_windows_status_known CHECK (status IN ('missing', 'requested', 'unconfirmed', 'loaded', 'failed', 'expired', 'not_served')), 
	CONSTRAINT ck_report_windows_requested_has_request CHECK ((status = 'requested') = (request_id IS NOT NULL)), 
	CONSTRAINT ck_report_windows_loaded_has_load CHECK (status <> 'loaded' OR last_loaded_at IS NOT NULL), 
	CONSTRAINT ck_report_windows_expired_is_over CHECK (status <> 'expired' OR next_refresh_at IS NULL), 
	CONSTRAINT ck_report_windows_not_served_has_since CHECK (status <> 'not_served' OR not_served_since IS NOT NULL), 
	CONSTRAINT ck_report_windows_not_served_once_loaded_is_over CHECK (status <> 'not_served' OR last_loaded_at IS NULL OR next_refresh_at IS NULL), 
	CONSTRAINT ck_report_windows_wanted_since CHECK ((wanted_by IS NULL) = (wanted_at IS NULL)), 
	CONSTRAINT ck_report_windows_cause_is_an_object CHECK (jsonb_typeof(cause) = 'object'), 
	CONSTRAINT ck_report_windows_decision_known CHECK (decision IN ('accept', 'keep')), 
	CONSTRAINT ck_report_windows_decision_complete CHECK (num_nulls(decision, decided_by, decided_at) IN (0, 3)), 
	CONSTRAINT fk_report_windows_request_id FOREIGN KEY(request_id) REFERENCES report_requests (id)
)
 WITH (fillfactor = 80);

CREATE INDEX ix_report_windows_due ON report_windows (account_id, country_code, next_refresh_at) WHERE next_refresh_at IS NOT NULL AND request_id IS NULL;

CREATE INDEX ix_report_windows_missing ON report_windows (account_id, country_code, dataset) WHERE status = 'missing';

CREATE INDEX ix_report_windows_never_loaded ON report_windows (account_id, country_code, dataset, expires_at) WHERE last_loaded_at IS NULL AND request_id IS NULL;

CREATE INDEX ix_report_windows_not_served ON report_windows (account_id, country_code, dataset, not_served, window_date) INCLUDE (expires_at, not_served_since, last_loaded_at) WHERE not_served <> '{}';

CREATE INDEX ix_report_windows_quarantined ON report_windows (account_id, country_code, dataset) WHERE quarantined_count > 0;

CREATE INDEX ix_report_windows_refused_alone ON report_windows (account_id, country_code, dataset, report) WHERE refused_alone_at IS NOT NULL;

CREATE INDEX ix_report_windows_request ON report_windows (request_id) WHERE request_id IS NOT NULL;

CREATE INDEX ix_report_windows_suspicious ON report_windows (account_id, country_code, dataset) WHERE suspicious_digest IS NOT NULL;

CREATE INDEX ix_report_windows_unrecorded ON report_windows (account_id, country_code, dataset, window_date DESC) WHERE recorded_load_count < load_count;

CREATE INDEX ix_report_windows_unresolved ON report_windows (account_id, country_code, data_as_of) WHERE unresolved_count > 0;

CREATE INDEX ix_report_windows_unsettled ON report_windows (account_id, country_code, dataset, status, cause_key) INCLUDE (window_date, expires_at, request_id, cause_since, next_refresh_at, not_served_since, last_loaded_at) WHERE status IN ('failed', 'unconfirmed', 'not_served') OR suspicious_digest IS NOT NULL;

CREATE INDEX ix_report_windows_wanted ON report_windows (account_id, country_code) WHERE request_id IS NOT NULL OR wanted_by IS NOT NULL;

CREATE TABLE restatements (
	id BIGINT GENERATED ALWAYS AS IDENTITY, 
	account_id TEXT COLLATE "C" NOT NULL, 
	country_code TEXT NOT NULL, 
	dataset TEXT NOT NULL, 
	window_date DATE NOT NULL, 
	hour_at TIMESTAMP WITH TIME ZONE, 
	row_key BYTEA NOT NULL, 
	dimensions JSONB NOT NULL, 
	currency_code TEXT NOT NULL, 
	change TEXT NOT NULL, 
	old_values JSONB, 
	new_values JSONB, 
	old_data_as_of TIMESTAMP WITH TIME ZONE NOT NULL, 
	new_data_as_of TIMESTAMP WITH TIME ZONE NOT NULL, 
	request_id BIGINT NOT NULL, 
	restated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_restatements PRIMARY KEY (id), 
	CONSTRAINT fk_restatements_account_id_country_code FOREIGN KEY(account_id, country_code) REFERENCES advertiser_accounts (account_id, country_code), 
	CONSTRAINT ck_restatements_change_known CHECK (change IN ('appeared', 'changed', 'vanished')), 
	CONSTRAINT ck_restatements_old_values_fit CHECK ((change = 'appeared') = (old_values IS NULL)), 
	CONSTRAINT ck_restatements_new_values_fit CHECK ((change = 'vanished') = (new_values IS NULL))
);

CREATE INDEX ix_restatements_day ON restatements USING brin (window_date);

CREATE INDEX ix_restatements_window ON restatements (account_id, country_code, dataset, window_date);

CREATE TABLE row_removals (
	id BIGINT GENERATED ALWAYS AS IDENTITY, 
	request_id BIGINT NOT NULL, 
	account_id TEXT COLLATE "C" NOT NULL, 
	country_code TEXT NOT NULL, 
	dataset TEXT NOT NULL, 
	days DATE[] NOT NULL, 
	rows BIGINT NOT NULL, 
	spend NUMERIC(38, 6) NOT NULL, 
	currency_code TEXT NOT NULL, 
	removed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	acknowledged_by TEXT, 
	acknowledged_at TIMESTAMP WITH TIME ZONE, 
	note TEXT, 
	CONSTRAINT pk_row_removals PRIMARY KEY (id), 
	CONSTRAINT fk_row_removals_account_id_country_code FOREIGN KEY(account_id, country_code) REFERENCES advertiser_accounts (account_id, country_code), 
	CONSTRAINT ck_row_removals_acknowledgement_complete CHECK ((acknowledged_by IS NULL) = (acknowledged_at IS NULL))
);

CREATE INDEX ix_row_removals_open ON row_removals (removed_at) WHERE acknowledged_at IS NULL;

CREATE TABLE target_names (
	account INTEGER NOT NULL, 
	ad_group_id TEXT COLLATE "C" NOT NULL, 
	match_digest BYTEA NOT NULL, 
	target_id TEXT COLLATE "C" NOT NULL, 
	CONSTRAINT pk_target_names PRIMARY KEY (account, ad_group_id, match_digest), 
	CONSTRAINT fk_target_names_account FOREIGN KEY(account) REFERENCES advertiser_accounts (id)
);

CREATE TABLE targets (
	account_id TEXT COLLATE "C" NOT NULL, 
	country_code TEXT NOT NULL, 
	target_id TEXT COLLATE "C" NOT NULL, 
	ad_group_id TEXT COLLATE "C", 
	campaign_id TEXT COLLATE "C", 
	negative BOOLEAN NOT NULL, 
	target_type TEXT, 
	target_level TEXT, 
	match_type TEXT, 
	keyword TEXT, 
	asin TEXT, 
	category_id TEXT, 
	category TEXT, 
	brand_id TEXT, 
	brand TEXT, 
	audience_id TEXT, 
	event TEXT, 
	lookback_days BIGINT, 
	expression TEXT, 
	bid NUMERIC(20, 6), 
	currency_code TEXT, 
	match_digest BYTEA, 
	state TEXT NOT NULL, 
	ad_product TEXT, 
	delivery_status TEXT, 
	delivery_reasons JSONB, 
	created_at TIMESTAMP WITH TIME ZONE, 
	updated_at TIMESTAMP WITH TIME ZONE, 
	details JSONB DEFAULT '{}' NOT NULL, 
	seen_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	missing_since TIMESTAMP WITH TIME ZONE, 
	gone_since TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_targets PRIMARY KEY (account_id, country_code, target_id), 
	CONSTRAINT fk_targets_account_id_country_code FOREIGN KEY(account_id, country_code) REFERENCES advertiser_accounts (account_id, country_code), 
	CONSTRAINT ck_targets_belongs_somewhere CHECK (num_nonnulls(ad_group_id, campaign_id) > 0), 
	CONSTRAINT ck_targets_digest_of_16_bytes CHECK (octet_length(match_digest) = 16)
);

COMMENT ON TABLE targets IS 'A target of an ad group or campaign, as Amazon sent it last';

COMMENT ON COLUMN targets.account_id IS 'Amazon''s id of the ads account';

COMMENT ON COLUMN targets.country_code IS 'Country of the account: two letters, GB for the United Kingdom';

COMMENT ON COLUMN targets.target_id IS 'Amazon''s id of the target';

COMMENT ON COLUMN targets.ad_group_id IS 'Amazon''s id of the ad group';

COMMENT ON COLUMN targets.campaign_id IS 'Amazon''s id of the campaign';

COMMENT ON COLUMN targets.negative IS 'Whether it keeps ads from showing';

COMMENT ON COLUMN targets.target_type IS 'AUTO, KEYWORD, PRODUCT, PRODUCT_CATEGORY, AUDIENCE, THEME …';

COMMENT ON COLUMN targets.target_level IS 'AD_GROUP or CAMPAIGN';

COMMENT ON COLUMN targets.match_type IS 'EXACT, PHRASE, PRODUCT_SIMILAR …';

COMMENT ON COLUMN targets.keyword IS 'Text of a keyword';

COMMENT ON COLUMN targets.asin IS 'ASIN of a product';

COMMENT ON COLUMN targets.category_id IS 'Amazon''s id of a product category';

COMMENT ON COLUMN targets.category IS 'Name of that category';

COMMENT ON COLUMN targets.brand_id IS 'Amazon''s id of the brand that refines a category';

COMMENT ON COLUMN targets.brand IS 'Name of that brand';

COMMENT ON COLUMN targets.audience_id IS 'Amazon''s id of an audience';

COMMENT ON COLUMN targets.event IS 'VIEW or PURCHASE, for an audience by what it did';

COMMENT ON COLUMN targets.lookback_days IS 'Days back that the event of an audience counts';

COMMENT ON COLUMN targets.expression IS 'A category with its refinements, as reports write it';

COMMENT ON COLUMN targets.bid IS 'Bid in currency_code; null where the ad group''s default_bid holds';

COMMENT ON COLUMN targets.currency_code IS 'Currency of the amounts';

COMMENT ON COLUMN targets.match_digest IS 'Digest of the text by which reports name it; null where they cannot';

COMMENT ON COLUMN targets.state IS 'ENABLED, PAUSED, ARCHIVED, or another word of Amazon''s';

COMMENT ON COLUMN targets.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS or SPONSORED_DISPLAY';

COMMENT ON COLUMN targets.delivery_status IS 'DELIVERING, NOT_DELIVERING or UNAVAILABLE';

COMMENT ON COLUMN targets.delivery_reasons IS 'Why it is not delivering: a list';

COMMENT ON COLUMN targets.created_at IS 'When it was created at Amazon';

COMMENT ON COLUMN targets.updated_at IS 'When it was last changed at Amazon';

COMMENT ON COLUMN targets.details IS 'Every field that no column holds, as Amazon sent it';

COMMENT ON COLUMN targets.seen_at IS 'When Amazon sent it last';

COMMENT ON COLUMN targets.missing_since IS 'First complete export without it; null while Amazon sends it';

COMMENT ON COLUMN targets.gone_since IS 'Second complete export in a row without it; null while it exists';

CREATE SCHEMA IF NOT EXISTS reports;


CREATE VIEW job_sessions AS
SELECT h.id,
       h.job_name,
       h.run_id,
       h.step_key,
       h.retry_number,
       h.account_key,
       (SELECT n.label FROM session_subjects n WHERE n.key = h.account_key) AS account_label,
       h.status,
       coalesce(h.outcome, (SELECT CASE WHEN bool_or(s.tone = 'error') THEN 'problems' WHEN bool_or(s.tone = 'warning') THEN 'warnings' ELSE 'ok' END FROM session_actions s
      WHERE s.session_id = h.id AND s.tone IN ('warning', 'error'))) AS outcome,
       h.recovered_by,
       h.started_at,
       h.finished_at,
       coalesce(h.finished_at, now()) - h.started_at AS duration,
       h.error,
       h.input,
       h.labels,
       coalesce(a.actions, '[]'::jsonb) AS actions,
       coalesce(a.action_count, 0) AS action_count,
       h.revision + coalesce(a.action_count, 0) AS revision
  FROM session_headers h
  LEFT JOIN LATERAL (
       SELECT jsonb_agg(
                jsonb_build_object('ord', s.ord, 'type', s.type, 'at', s.at, 'tone', s.tone)
                || s.payload
                ORDER BY s.ord) AS actions,
              count(*) AS action_count
         FROM session_actions s
        WHERE s.session_id = h.id) a ON true
;


CREATE VIEW job_session_accounts AS
SELECT h.id AS session_id,
       k.account_key,
       CASE WHEN k.account_key = h.account_key THEN coalesce(h.outcome, (SELECT CASE WHEN bool_or(s.tone = 'error') THEN 'problems' WHEN bool_or(s.tone = 'warning') THEN 'warnings' ELSE 'ok' END FROM session_actions s
      WHERE s.session_id = h.id AND s.tone IN ('warning', 'error')))
            ELSE (SELECT CASE WHEN bool_or(a.tone = 'error') THEN 'problems' WHEN bool_or(a.tone = 'warning') THEN 'warnings' ELSE 'ok' END
                    FROM session_references t
                    JOIN session_actions a ON a.session_id = t.session_id AND a.ord = t.ord
                   WHERE t.session_id = h.id AND t.account_key = k.account_key) END AS outcome
  FROM session_headers h
 CROSS JOIN LATERAL (
       SELECT h.account_key WHERE h.account_key IS NOT NULL
        UNION
       SELECT t.account_key FROM session_references t WHERE t.session_id = h.id) k
;


CREATE FUNCTION is_deliverable(c campaigns) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
SELECT c.state = 'ENABLED' AND c.gone_since IS NULL
$$;


CREATE FUNCTION window_states(at timestamptz, late_after interval)
RETURNS TABLE (
    account_id text, country_code text, account_key text, dataset text, report text,
    window_date date, state text, cause jsonb, since timestamptz, next_at timestamptz,
    as_of timestamptz, is_final boolean,
    status text, request_id bigint, is_suspicious boolean, next_refresh_at timestamptz,
    wanted_by text, last_loaded_at timestamptz, last_requested_at timestamptz,
    expires_at timestamptz, row_count bigint, due_since timestamptz, data_as_of timestamptz,
    not_served_since timestamptz, not_served text[])
LANGUAGE sql STABLE AS $$
SELECT w.account_id, w.country_code, a.account_key, w.dataset, w.report, w.window_date,
       s.state,
       CASE s.state
            WHEN 'paused'
            THEN jsonb_build_object(
                     'code', 'account-paused',
                     'detail', jsonb_strip_nulls(
                         jsonb_build_object('by', a.paused_by, 'account', a.account_key)))
            WHEN 'disabled' THEN jsonb_build_object('code', 'account-disabled')
            WHEN 'needs attention' THEN o.needs_attention
            WHEN 'expired' THEN jsonb_build_object('code', 'expired')
            WHEN 'late at Amazon' THEN jsonb_build_object('code', 'late-at-amazon')
            WHEN 'late' THEN jsonb_build_object('code', 'overdue')
            ELSE CASE WHEN w.request_id IS NULL THEN w.cause ELSE r.cause END END,
       CASE s.state
            WHEN 'late at Amazon' THEN r.late_at
            WHEN 'paused' THEN a.paused_at
            WHEN 'needs attention' THEN o.needs_attention_since
            WHEN 'expired' THEN w.expires_at
            WHEN 'not served' THEN w.not_served_since
            WHEN 'late' THEN d.due_since
            WHEN 'due'
            THEN CASE WHEN d.due_since <= window_states.at THEN d.due_since ELSE w.wanted_at END
            WHEN 'fresh' THEN w.last_loaded_at
            WHEN 'failed' THEN w.cause_since
            WHEN 'suspicious' THEN w.cause_since
            WHEN 'unconfirmed' THEN w.cause_since
            ELSE w.last_requested_at END,
       CASE WHEN s.state IN ('loading', 'requested', 'late at Amazon') THEN r.next_step_at
            WHEN s.state IN ('late', 'due')
            THEN greatest(window_states.at,
                          CASE WHEN w.wanted_by IS NULL THEN o.next_run_at END)
            WHEN s.state NOT IN ('paused', 'disabled', 'needs attention', 'expired')
            THEN w.next_refresh_at END,
       CASE WHEN w.not_served_since IS NULL THEN w.data_as_of END,
       w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= window_states.at),
       w.status, w.request_id, w.suspicious_digest IS NOT NULL, w.next_refresh_at, w.wanted_by,
       w.last_loaded_at, w.last_requested_at, w.expires_at, w.row_count, d.due_since,
       w.data_as_of, w.not_served_since, w.not_served
  FROM report_windows w
  JOIN advertiser_accounts a ON a.account_id = w.account_id AND a.country_code = w.country_code
  JOIN ads_accounts o ON o.account_id = w.account_id
  LEFT JOIN report_requests r ON r.id = w.request_id
 CROSS JOIN LATERAL (SELECT greatest(w.next_refresh_at, a.first_seen_at, o.next_run_at) AS due_since) d
 CROSS JOIN LATERAL (SELECT
       CASE WHEN a.paused THEN 'paused'
            WHEN a.amazon_status = 'DISABLED' THEN 'disabled'
            WHEN o.needs_attention IS NOT NULL THEN 'needs attention'
            WHEN w.request_id IS NOT NULL
            THEN CASE WHEN r.status = 'completed' THEN 'loading'
                      WHEN r.status = 'in_flight' AND r.late_at <= window_states.at
                      THEN 'late at Amazon'
                      ELSE 'requested' END
            WHEN w.last_loaded_at IS NULL AND w.expires_at <= window_states.at THEN 'expired'
            WHEN w.status = 'not_served' THEN 'not served'
            WHEN w.expires_at <= window_states.at THEN 'fresh'
            WHEN w.status = 'failed' THEN 'failed'
            WHEN w.status = 'unconfirmed' THEN 'unconfirmed'
            WHEN w.suspicious_digest IS NOT NULL THEN 'suspicious'
            WHEN w.next_refresh_at IS NOT NULL
             AND d.due_since <= window_states.at - window_states.late_after THEN 'late'
            WHEN w.wanted_by IS NOT NULL OR w.next_refresh_at <= window_states.at THEN 'due'
            WHEN w.last_loaded_at IS NULL THEN 'missing'
            ELSE 'fresh' END AS state) s
$$
;


CREATE VIEW performance_rows AS
SELECT 'daily_campaigns' AS dataset, account, window_date, ad_product, currency_code, impressions, clicks, orders, sales, spend FROM daily_campaigns
 UNION ALL SELECT 'hourly_campaigns' AS dataset, account, window_date, ad_product, currency_code, impressions, clicks, orders, sales, spend FROM hourly_campaigns
 UNION ALL SELECT 'daily_placements' AS dataset, account, window_date, ad_product, currency_code, impressions, clicks, orders, sales, spend FROM daily_placements
 UNION ALL SELECT 'daily_targets' AS dataset, account, window_date, ad_product, currency_code, impressions, clicks, orders, sales, spend FROM daily_targets
 UNION ALL SELECT 'hourly_targets' AS dataset, account, window_date, ad_product, currency_code, impressions, clicks, orders, sales, spend FROM hourly_targets
 UNION ALL SELECT 'daily_products' AS dataset, account, window_date, ad_product, currency_code, impressions, clicks, orders, sales, spend FROM daily_products
 UNION ALL SELECT 'hourly_products' AS dataset, account, window_date, ad_product, currency_code, impressions, clicks, orders, sales, spend FROM hourly_products
 UNION ALL SELECT 'daily_search_terms' AS dataset, account, window_date, ad_product, currency_code, impressions, clicks, orders, sales, spend FROM daily_search_terms
 UNION ALL SELECT 'daily_purchased_products' AS dataset, account, window_date, ad_product, currency_code, CAST(NULL AS bigint) AS impressions, CAST(NULL AS bigint) AS clicks, orders, sales, CAST(NULL AS numeric) AS spend FROM daily_purchased_products
;


CREATE VIEW window_restatements AS
SELECT w.account_id,
       w.country_code,
       a.account_key,
       w.dataset,
       w.window_date,
       p.ad_product,
       c.currency_code,
       l.load_number,
       l.data_as_of,
       CAST(l.data_as_of AT TIME ZONE a.time_zone AS date) - w.window_date AS age_days,
       l.confirmed_as_of,
       CAST(l.confirmed_as_of AT TIME ZONE a.time_zone AS date) - w.window_date
           AS confirmed_age_days,
       CASE WHEN l.load_number > 1 THEN l.impressions - l.impressions_change END AS impressions_before,
       l.impressions,
       CASE WHEN l.load_number > 1 THEN l.clicks - l.clicks_change END AS clicks_before,
       l.clicks,
       CASE WHEN l.load_number > 1 THEN l.orders - l.orders_change END AS orders_before,
       l.orders,
       CASE WHEN l.load_number > 1 THEN l.sales - l.sales_change END AS sales_before,
       l.sales,
       CASE WHEN l.load_number > 1 THEN l.spend - l.spend_change END AS spend_before,
       l.spend,
       l.rows_changed,
       l.rows_appeared,
       l.rows_vanished
  FROM report_windows w
  JOIN advertiser_accounts a ON a.account_id = w.account_id AND a.country_code = w.country_code
 CROSS JOIN LATERAL (
       SELECT jsonb_object_keys(w.product_totals) EXCEPT SELECT unnest(w.not_served)) AS p(ad_product)
 CROSS JOIN LATERAL (
       SELECT a.currency_code
        UNION
       SELECT o.currency_code FROM performance_rows o
        WHERE o.dataset = w.dataset AND o.account = a.id AND o.window_date = w.window_date AND o.ad_product = p.ad_product
        UNION
       SELECT s.currency_code FROM restatements s WHERE s.account_id = w.account_id AND s.country_code = w.country_code
          AND s.dataset = w.dataset AND s.window_date = w.window_date
          AND s.dimensions ->> 'ad_product' = p.ad_product) c
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(o.impressions), 0) AS impressions, coalesce(sum(o.clicks), 0) AS clicks,
              coalesce(sum(o.orders), 0) AS orders, coalesce(sum(o.sales), 0) AS sales, coalesce(sum(o.spend), 0) AS spend
         FROM performance_rows o
        WHERE o.dataset = w.dataset AND o.account = a.id AND o.window_date = w.window_date
          AND o.ad_product = p.ad_product AND o.currency_code = c.currency_code) n
 CROSS JOIN LATERAL (
       SELECT i.data_as_of,
              row_number() OVER earliest_first AS load_number,
              greatest(i.data_as_of, lead(d.replaced_as_of, 1, w.data_as_of) OVER earliest_first)
                  AS confirmed_as_of,
              n.impressions - coalesce(sum(d.impressions) OVER later, 0) AS impressions, coalesce(d.impressions, 0) AS impressions_change,
              n.clicks - coalesce(sum(d.clicks) OVER later, 0) AS clicks, coalesce(d.clicks, 0) AS clicks_change,
              n.orders - coalesce(sum(d.orders) OVER later, 0) AS orders, coalesce(d.orders, 0) AS orders_change,
              n.sales - coalesce(sum(d.sales) OVER later, 0) AS sales, coalesce(d.sales, 0) AS sales_change,
              n.spend - coalesce(sum(d.spend) OVER later, 0) AS spend, coalesce(d.spend, 0) AS spend_change,
              coalesce(d.rows_changed, 0) AS rows_changed, coalesce(d.rows_appeared, 0) AS rows_appeared,
              coalesce(d.rows_vanished, 0) AS rows_vanished
         FROM (SELECT least(w.first_data_as_of, min(s.old_data_as_of))
                 FROM restatements s WHERE s.account_id = w.account_id AND s.country_code = w.country_code
          AND s.dataset = w.dataset AND s.window_date = w.window_date
          AND s.dimensions ->> 'ad_product' = p.ad_product
                UNION
               SELECT s.new_data_as_of
                 FROM restatements s WHERE s.account_id = w.account_id AND s.country_code = w.country_code
          AND s.dataset = w.dataset AND s.window_date = w.window_date
          AND s.dimensions ->> 'ad_product' = p.ad_product AND s.currency_code = c.currency_code
              ) i(data_as_of)
         LEFT JOIN (
              SELECT s.new_data_as_of,
                     max(s.old_data_as_of) FILTER (WHERE s.old_data_as_of < s.new_data_as_of)
                         AS replaced_as_of,
                     sum(coalesce(CAST(s.new_values ->> 'impressions' AS numeric), 0)
                       - coalesce(CAST(s.old_values ->> 'impressions' AS numeric), 0)) AS impressions,
                     sum(coalesce(CAST(s.new_values ->> 'clicks' AS numeric), 0)
                       - coalesce(CAST(s.old_values ->> 'clicks' AS numeric), 0)) AS clicks,
                     sum(coalesce(CAST(s.new_values ->> 'orders' AS numeric), 0)
                       - coalesce(CAST(s.old_values ->> 'orders' AS numeric), 0)) AS orders,
                     sum(coalesce(CAST(s.new_values ->> 'sales' AS numeric), 0)
                       - coalesce(CAST(s.old_values ->> 'sales' AS numeric), 0)) AS sales,
                     sum(coalesce(CAST(s.new_values ->> 'spend' AS numeric), 0)
                       - coalesce(CAST(s.old_values ->> 'spend' AS numeric), 0)) AS spend,
                     count(*) FILTER (WHERE s.change = 'changed') AS rows_changed,
                     count(*) FILTER (WHERE s.change = 'appeared') AS rows_appeared,
                     count(*) FILTER (WHERE s.change = 'vanished') AS rows_vanished
                FROM restatements s
               WHERE s.account_id = w.account_id AND s.country_code = w.country_code
          AND s.dataset = w.dataset AND s.window_date = w.window_date
          AND s.dimensions ->> 'ad_product' = p.ad_product AND s.currency_code = c.currency_code
               GROUP BY s.new_data_as_of) d ON d.new_data_as_of = i.data_as_of
        WINDOW earliest_first AS (ORDER BY i.data_as_of),
               later AS (ORDER BY i.data_as_of DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) l
 WHERE w.not_served_since IS NULL AND p.ad_product <> ALL(w.not_served)
   AND w.window_date >= coalesce((SELECT restatements_from FROM installation), '-infinity')
;

CREATE VIEW reports.daily_campaigns AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.window_date,
       t.ad_product,
       CASE WHEN t.ad_product <> 'SPONSORED_PRODUCTS' OR a.account_type = 'vendor' THEN 14
            WHEN a.account_type = 'seller' THEN 7 END AS attribution_days,
       t.currency_code,
       t.campaign_id,
       coalesce(c.name, t.campaign_name) AS campaign_name,
       c.portfolio_id,
       f.name AS portfolio_name,
       t.cost_type,
       t.impressions,
       t.clicks,
       t.spend,
       t.orders,
       t.sales,
       t.units,
       t.viewable_impressions,
       t.new_to_brand_orders,
       t.new_to_brand_sales,
       t.new_to_brand_units,
       t.orders_promoted,
       t.sales_promoted,
       t.units_promoted,
       t.sales_halo,
       t.units_halo,
       CAST(t.spend AS numeric) / nullif(t.clicks, 0) AS cpc,
       CAST(t.clicks AS numeric) / nullif(t.impressions, 0) AS ctr,
       CAST(t.spend AS numeric) / nullif(t.sales, 0) AS acos,
       CAST(t.sales AS numeric) / nullif(t.spend, 0) AS roas,
       w.as_of,
       w.is_final,
       w.is_complete
  FROM daily_campaigns t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code
          AND w.dataset = 'daily_campaigns' AND w.window_date = t.window_date) w ON true;
COMMENT ON VIEW reports.daily_campaigns IS 'Daily performance by campaign. One row is one campaign, day, ad product and currency of an account.';
COMMENT ON COLUMN reports.daily_campaigns.account_key IS 'Key of the account: an ads account in one country.';
COMMENT ON COLUMN reports.daily_campaigns.account_name IS 'Name of the account.';
COMMENT ON COLUMN reports.daily_campaigns.country_code IS 'Country of the account: two letters, GB for the United Kingdom.';
COMMENT ON COLUMN reports.daily_campaigns.window_date IS 'Day of the account''s own calendar.';
COMMENT ON COLUMN reports.daily_campaigns.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …';
COMMENT ON COLUMN reports.daily_campaigns.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for Sponsored Products of vendors and for all other ad products; null if Amazon does not state whether the account is a seller''s or a vendor''s.';
COMMENT ON COLUMN reports.daily_campaigns.currency_code IS 'Currency of the amounts.';
COMMENT ON COLUMN reports.daily_campaigns.campaign_id IS 'Amazon''s id of the campaign.';
COMMENT ON COLUMN reports.daily_campaigns.campaign_name IS 'Current name of the campaign; null until the campaign is in an export.';
COMMENT ON COLUMN reports.daily_campaigns.portfolio_id IS 'Id of the campaign''s current portfolio; null if the campaign is in no portfolio.';
COMMENT ON COLUMN reports.daily_campaigns.portfolio_name IS 'Current name of this portfolio.';
COMMENT ON COLUMN reports.daily_campaigns.cost_type IS 'What the advertiser pays for: CPC (clicks) or VCPM (viewable impressions).';
COMMENT ON COLUMN reports.daily_campaigns.impressions IS 'Times the ad was shown.';
COMMENT ON COLUMN reports.daily_campaigns.clicks IS 'Valid clicks on the ad.';
COMMENT ON COLUMN reports.daily_campaigns.spend IS 'Cost of clicks or impressions, in the row''s currency.';
COMMENT ON COLUMN reports.daily_campaigns.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';
COMMENT ON COLUMN reports.daily_campaigns.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.';
COMMENT ON COLUMN reports.daily_campaigns.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';
COMMENT ON COLUMN reports.daily_campaigns.viewable_impressions IS 'Impressions that met the viewability standard.';
COMMENT ON COLUMN reports.daily_campaigns.new_to_brand_orders IS 'Orders of shoppers who had bought nothing of the brand in the 12 months before.';
COMMENT ON COLUMN reports.daily_campaigns.new_to_brand_sales IS 'Sales to shoppers who had bought nothing of the brand in the 12 months before.';
COMMENT ON COLUMN reports.daily_campaigns.new_to_brand_units IS 'Units sold to shoppers who had bought nothing of the brand in the 12 months before.';
COMMENT ON COLUMN reports.daily_campaigns.orders_promoted IS 'Orders for the advertised product.';
COMMENT ON COLUMN reports.daily_campaigns.sales_promoted IS 'Sales of the advertised product.';
COMMENT ON COLUMN reports.daily_campaigns.units_promoted IS 'Units sold of the advertised product.';
COMMENT ON COLUMN reports.daily_campaigns.sales_halo IS 'Sales of other products of the same brand.';
COMMENT ON COLUMN reports.daily_campaigns.units_halo IS 'Units sold of other products of the same brand.';
COMMENT ON COLUMN reports.daily_campaigns.cpc IS 'Cost per click: spend / clicks of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.daily_campaigns.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.daily_campaigns.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.daily_campaigns.roas IS 'Return on ad spend: sales / spend of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.daily_campaigns.as_of IS 'When the report of the row''s day was requested: later events are not in the report. Null if the day must be loaded again, because reports combine other ad products now.';
COMMENT ON COLUMN reports.daily_campaigns.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.';
COMMENT ON COLUMN reports.daily_campaigns.is_complete IS 'Whether every report of the day that Amazon serves is loaded. If it is false, sums of the day are too small. If it is true, `not_served` and `left_out` of `reports.days` may still list ad products and campaigns without data.';

CREATE VIEW reports.hourly_campaigns AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.window_date,
       t.hour_at,
       CAST(extract(hour FROM t.hour_at AT TIME ZONE a.time_zone) AS integer) AS local_hour,
       t.ad_product,
       CASE WHEN t.ad_product <> 'SPONSORED_PRODUCTS' OR a.account_type = 'vendor' THEN 14
            WHEN a.account_type = 'seller' THEN 7 END AS attribution_days,
       t.currency_code,
       t.campaign_id,
       c.name AS campaign_name,
       c.portfolio_id,
       f.name AS portfolio_name,
       t.impressions,
       t.clicks,
       t.spend,
       t.orders,
       t.sales,
       t.units,
       CAST(t.spend AS numeric) / nullif(t.clicks, 0) AS cpc,
       CAST(t.clicks AS numeric) / nullif(t.impressions, 0) AS ctr,
       CAST(t.spend AS numeric) / nullif(t.sales, 0) AS acos,
       CAST(t.sales AS numeric) / nullif(t.spend, 0) AS roas,
       w.as_of,
       w.is_final,
       w.is_complete
  FROM hourly_campaigns t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code
          AND w.dataset = 'hourly_campaigns' AND w.window_date = t.window_date) w ON true;
COMMENT ON VIEW reports.hourly_campaigns IS 'Hourly performance by campaign. One row is one campaign, hour, ad product and currency of an account.';
COMMENT ON COLUMN reports.hourly_campaigns.account_key IS 'Key of the account: an ads account in one country.';
COMMENT ON COLUMN reports.hourly_campaigns.account_name IS 'Name of the account.';
COMMENT ON COLUMN reports.hourly_campaigns.country_code IS 'Country of the account: two letters, GB for the United Kingdom.';
COMMENT ON COLUMN reports.hourly_campaigns.window_date IS 'Day of the account''s own calendar.';
COMMENT ON COLUMN reports.hourly_campaigns.hour_at IS 'When the hour began.';
COMMENT ON COLUMN reports.hourly_campaigns.local_hour IS 'Hour of the day on the account''s own clock: 0 to 23.';
COMMENT ON COLUMN reports.hourly_campaigns.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …';
COMMENT ON COLUMN reports.hourly_campaigns.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for Sponsored Products of vendors and for all other ad products; null if Amazon does not state whether the account is a seller''s or a vendor''s.';
COMMENT ON COLUMN reports.hourly_campaigns.currency_code IS 'Currency of the amounts.';
COMMENT ON COLUMN reports.hourly_campaigns.campaign_id IS 'Amazon''s id of the campaign.';
COMMENT ON COLUMN reports.hourly_campaigns.campaign_name IS 'Current name of the campaign; null until the campaign is in an export.';
COMMENT ON COLUMN reports.hourly_campaigns.portfolio_id IS 'Id of the campaign''s current portfolio; null if the campaign is in no portfolio.';
COMMENT ON COLUMN reports.hourly_campaigns.portfolio_name IS 'Current name of this portfolio.';
COMMENT ON COLUMN reports.hourly_campaigns.impressions IS 'Times the ad was shown.';
COMMENT ON COLUMN reports.hourly_campaigns.clicks IS 'Valid clicks on the ad.';
COMMENT ON COLUMN reports.hourly_campaigns.spend IS 'Cost of clicks or impressions, in the row''s currency.';
COMMENT ON COLUMN reports.hourly_campaigns.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';
COMMENT ON COLUMN reports.hourly_campaigns.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.';
COMMENT ON COLUMN reports.hourly_campaigns.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';
COMMENT ON COLUMN reports.hourly_campaigns.cpc IS 'Cost per click: spend / clicks of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.hourly_campaigns.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.hourly_campaigns.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.hourly_campaigns.roas IS 'Return on ad spend: sales / spend of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.hourly_campaigns.as_of IS 'When the report of the row''s day was requested: later events are not in the report. Null if the day must be loaded again, because reports combine other ad products now.';
COMMENT ON COLUMN reports.hourly_campaigns.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.';
COMMENT ON COLUMN reports.hourly_campaigns.is_complete IS 'Whether every report of the day that Amazon serves is loaded. If it is false, sums of the day are too small. If it is true, `not_served` and `left_out` of `reports.days` may still list ad products and campaigns without data.';

CREATE VIEW reports.daily_placements AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.window_date,
       t.ad_product,
       CASE WHEN t.ad_product <> 'SPONSORED_PRODUCTS' OR a.account_type = 'vendor' THEN 14
            WHEN a.account_type = 'seller' THEN 7 END AS attribution_days,
       t.currency_code,
       t.campaign_id,
       c.name AS campaign_name,
       c.portfolio_id,
       f.name AS portfolio_name,
       t.placement,
       t.placement_reported,
       t.impressions,
       t.clicks,
       t.spend,
       t.orders,
       t.sales,
       t.units,
       t.viewable_impressions,
       CAST(t.spend AS numeric) / nullif(t.clicks, 0) AS cpc,
       CAST(t.clicks AS numeric) / nullif(t.impressions, 0) AS ctr,
       CAST(t.spend AS numeric) / nullif(t.sales, 0) AS acos,
       CAST(t.sales AS numeric) / nullif(t.spend, 0) AS roas,
       w.as_of,
       w.is_final,
       w.is_complete
  FROM daily_placements t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code
          AND w.dataset = 'daily_placements' AND w.window_date = t.window_date) w ON true;
COMMENT ON VIEW reports.daily_placements IS 'Daily performance by placement. One row is one placement, day, ad product and currency of an account.';
COMMENT ON COLUMN reports.daily_placements.account_key IS 'Key of the account: an ads account in one country.';
COMMENT ON COLUMN reports.daily_placements.account_name IS 'Name of the account.';
COMMENT ON COLUMN reports.daily_placements.country_code IS 'Country of the account: two letters, GB for the United Kingdom.';
COMMENT ON COLUMN reports.daily_placements.window_date IS 'Day of the account''s own calendar.';
COMMENT ON COLUMN reports.daily_placements.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …';
COMMENT ON COLUMN reports.daily_placements.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for Sponsored Products of vendors and for all other ad products; null if Amazon does not state whether the account is a seller''s or a vendor''s.';
COMMENT ON COLUMN reports.daily_placements.currency_code IS 'Currency of the amounts.';
COMMENT ON COLUMN reports.daily_placements.campaign_id IS 'Amazon''s id of the campaign.';
COMMENT ON COLUMN reports.daily_placements.campaign_name IS 'Current name of the campaign; null until the campaign is in an export.';
COMMENT ON COLUMN reports.daily_placements.portfolio_id IS 'Id of the campaign''s current portfolio; null if the campaign is in no portfolio.';
COMMENT ON COLUMN reports.daily_placements.portfolio_name IS 'Current name of this portfolio.';
COMMENT ON COLUMN reports.daily_placements.placement IS 'Where the ad was shown: TOP_OF_SEARCH, REST_OF_SEARCH, PRODUCT_PAGE, OFF_AMAZON, SITE_AMAZON_BUSINESS, or another value as Amazon reported it.';
COMMENT ON COLUMN reports.daily_placements.placement_reported IS 'The placement as Amazon reported it.';
COMMENT ON COLUMN reports.daily_placements.impressions IS 'Times the ad was shown.';
COMMENT ON COLUMN reports.daily_placements.clicks IS 'Valid clicks on the ad.';
COMMENT ON COLUMN reports.daily_placements.spend IS 'Cost of clicks or impressions, in the row''s currency.';
COMMENT ON COLUMN reports.daily_placements.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';
COMMENT ON COLUMN reports.daily_placements.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.';
COMMENT ON COLUMN reports.daily_placements.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';
COMMENT ON COLUMN reports.daily_placements.viewable_impressions IS 'Impressions that met the viewability standard.';
COMMENT ON COLUMN reports.daily_placements.cpc IS 'Cost per click: spend / clicks of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.daily_placements.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.daily_placements.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.daily_placements.roas IS 'Return on ad spend: sales / spend of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.daily_placements.as_of IS 'When the report of the row''s day was requested: later events are not in the report. Null if the day must be loaded again, because reports combine other ad products now.';
COMMENT ON COLUMN reports.daily_placements.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.';
COMMENT ON COLUMN reports.daily_placements.is_complete IS 'Whether every report of the day that Amazon serves is loaded. If it is false, sums of the day are too small. If it is true, `not_served` and `left_out` of `reports.days` may still list ad products and campaigns without data.';

CREATE VIEW reports.daily_targets AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.window_date,
       t.ad_product,
       CASE WHEN t.ad_product <> 'SPONSORED_PRODUCTS' OR a.account_type = 'vendor' THEN 14
            WHEN a.account_type = 'seller' THEN 7 END AS attribution_days,
       t.currency_code,
       t.campaign_id,
       c.name AS campaign_name,
       c.portfolio_id,
       f.name AS portfolio_name,
       t.ad_group_id,
       g.name AS ad_group_name,
       t.target_value,
       t.match_type,
       n.target_id,
       t.impressions,
       t.clicks,
       t.spend,
       t.orders,
       t.sales,
       t.units,
       t.orders_promoted,
       t.sales_promoted,
       t.units_promoted,
       t.sales_halo,
       t.units_halo,
       CAST(t.spend AS numeric) / nullif(t.clicks, 0) AS cpc,
       CAST(t.clicks AS numeric) / nullif(t.impressions, 0) AS ctr,
       CAST(t.spend AS numeric) / nullif(t.sales, 0) AS acos,
       CAST(t.sales AS numeric) / nullif(t.spend, 0) AS roas,
       w.as_of,
       w.is_final,
       w.is_complete
  FROM daily_targets t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN target_names n ON n.account = t.account AND n.ad_group_id = t.ad_group_id
                          AND n.match_digest = t.target_match
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code
          AND w.dataset = 'daily_targets' AND w.window_date = t.window_date) w ON true;
COMMENT ON VIEW reports.daily_targets IS 'Daily performance by target. One row is one target, day, ad product and currency of an account.';
COMMENT ON COLUMN reports.daily_targets.account_key IS 'Key of the account: an ads account in one country.';
COMMENT ON COLUMN reports.daily_targets.account_name IS 'Name of the account.';
COMMENT ON COLUMN reports.daily_targets.country_code IS 'Country of the account: two letters, GB for the United Kingdom.';
COMMENT ON COLUMN reports.daily_targets.window_date IS 'Day of the account''s own calendar.';
COMMENT ON COLUMN reports.daily_targets.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …';
COMMENT ON COLUMN reports.daily_targets.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for Sponsored Products of vendors and for all other ad products; null if Amazon does not state whether the account is a seller''s or a vendor''s.';
COMMENT ON COLUMN reports.daily_targets.currency_code IS 'Currency of the amounts.';
COMMENT ON COLUMN reports.daily_targets.campaign_id IS 'Amazon''s id of the campaign.';
COMMENT ON COLUMN reports.daily_targets.campaign_name IS 'Current name of the campaign; null until the campaign is in an export.';
COMMENT ON COLUMN reports.daily_targets.portfolio_id IS 'Id of the campaign''s current portfolio; null if the campaign is in no portfolio.';
COMMENT ON COLUMN reports.daily_targets.portfolio_name IS 'Current name of this portfolio.';
COMMENT ON COLUMN reports.daily_targets.ad_group_id IS 'Amazon''s id of the ad group.';
COMMENT ON COLUMN reports.daily_targets.ad_group_name IS 'Current name of the ad group; null until the ad group is in an export.';
COMMENT ON COLUMN reports.daily_targets.target_value IS 'The target as reported: a keyword, an expression, or the name of an automatic target.';
COMMENT ON COLUMN reports.daily_targets.match_type IS 'How the target is matched, as reported; null if the ad product has no match types.';
COMMENT ON COLUMN reports.daily_targets.target_id IS 'Id of the target that the row names; null until the target is in an export.';
COMMENT ON COLUMN reports.daily_targets.impressions IS 'Times the ad was shown.';
COMMENT ON COLUMN reports.daily_targets.clicks IS 'Valid clicks on the ad.';
COMMENT ON COLUMN reports.daily_targets.spend IS 'Cost of clicks or impressions, in the row''s currency.';
COMMENT ON COLUMN reports.daily_targets.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';
COMMENT ON COLUMN reports.daily_targets.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.';
COMMENT ON COLUMN reports.daily_targets.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';
COMMENT ON COLUMN reports.daily_targets.orders_promoted IS 'Orders for the advertised product.';
COMMENT ON COLUMN reports.daily_targets.sales_promoted IS 'Sales of the advertised product.';
COMMENT ON COLUMN reports.daily_targets.units_promoted IS 'Units sold of the advertised product.';
COMMENT ON COLUMN reports.daily_targets.sales_halo IS 'Sales of other products of the same brand.';
COMMENT ON COLUMN reports.daily_targets.units_halo IS 'Units sold of other products of the same brand.';
COMMENT ON COLUMN reports.daily_targets.cpc IS 'Cost per click: spend / clicks of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.daily_targets.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.daily_targets.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.daily_targets.roas IS 'Return on ad spend: sales / spend of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.daily_targets.as_of IS 'When the report of the row''s day was requested: later events are not in the report. Null if the day must be loaded again, because reports combine other ad products now.';
COMMENT ON COLUMN reports.daily_targets.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.';
COMMENT ON COLUMN reports.daily_targets.is_complete IS 'Whether every report of the day that Amazon serves is loaded. If it is false, sums of the day are too small. If it is true, `not_served` and `left_out` of `reports.days` may still list ad products and campaigns without data.';

CREATE VIEW reports.hourly_targets AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.window_date,
       t.hour_at,
       CAST(extract(hour FROM t.hour_at AT TIME ZONE a.time_zone) AS integer) AS local_hour,
       t.ad_product,
       CASE WHEN t.ad_product <> 'SPONSORED_PRODUCTS' OR a.account_type = 'vendor' THEN 14
            WHEN a.account_type = 'seller' THEN 7 END AS attribution_days,
       t.currency_code,
       t.campaign_id,
       c.name AS campaign_name,
       c.portfolio_id,
       f.name AS portfolio_name,
       t.ad_group_id,
       g.name AS ad_group_name,
       t.target_value,
       t.match_type,
       n.target_id,
       t.impressions,
       t.clicks,
       t.spend,
       t.orders,
       t.sales,
       t.units,
       CAST(t.spend AS numeric) / nullif(t.clicks, 0) AS cpc,
       CAST(t.clicks AS numeric) / nullif(t.impressions, 0) AS ctr,
       CAST(t.spend AS numeric) / nullif(t.sales, 0) AS acos,
       CAST(t.sales AS numeric) / nullif(t.spend, 0) AS roas,
       w.as_of,
       w.is_final,
       w.is_complete
  FROM hourly_targets t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN target_names n ON n.account = t.account AND n.ad_group_id = t.ad_group_id
                          AND n.match_digest = t.target_match
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code
          AND w.dataset = 'hourly_targets' AND w.window_date = t.window_date) w ON true;
COMMENT ON VIEW reports.hourly_targets IS 'Hourly performance by target. One row is one target, hour, ad product and currency of an account.';
COMMENT ON COLUMN reports.hourly_targets.account_key IS 'Key of the account: an ads account in one country.';
COMMENT ON COLUMN reports.hourly_targets.account_name IS 'Name of the account.';
COMMENT ON COLUMN reports.hourly_targets.country_code IS 'Country of the account: two letters, GB for the United Kingdom.';
COMMENT ON COLUMN reports.hourly_targets.window_date IS 'Day of the account''s own calendar.';
COMMENT ON COLUMN reports.hourly_targets.hour_at IS 'When the hour began.';
COMMENT ON COLUMN reports.hourly_targets.local_hour IS 'Hour of the day on the account''s own clock: 0 to 23.';
COMMENT ON COLUMN reports.hourly_targets.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …';
COMMENT ON COLUMN reports.hourly_targets.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for Sponsored Products of vendors and for all other ad products; null if Amazon does not state whether the account is a seller''s or a vendor''s.';
COMMENT ON COLUMN reports.hourly_targets.currency_code IS 'Currency of the amounts.';
COMMENT ON COLUMN reports.hourly_targets.campaign_id IS 'Amazon''s id of the campaign.';
COMMENT ON COLUMN reports.hourly_targets.campaign_name IS 'Current name of the campaign; null until the campaign is in an export.';
COMMENT ON COLUMN reports.hourly_targets.portfolio_id IS 'Id of the campaign''s current portfolio; null if the campaign is in no portfolio.';
COMMENT ON COLUMN reports.hourly_targets.portfolio_name IS 'Current name of this portfolio.';
COMMENT ON COLUMN reports.hourly_targets.ad_group_id IS 'Amazon''s id of the ad group.';
COMMENT ON COLUMN reports.hourly_targets.ad_group_name IS 'Current name of the ad group; null until the ad group is in an export.';
COMMENT ON COLUMN reports.hourly_targets.target_value IS 'The target as reported: a keyword, an expression, or the name of an automatic target.';
COMMENT ON COLUMN reports.hourly_targets.match_type IS 'How the target is matched, as reported; null if the ad product has no match types.';
COMMENT ON COLUMN reports.hourly_targets.target_id IS 'Id of the target that the row names; null until the target is in an export.';
COMMENT ON COLUMN reports.hourly_targets.impressions IS 'Times the ad was shown.';
COMMENT ON COLUMN reports.hourly_targets.clicks IS 'Valid clicks on the ad.';
COMMENT ON COLUMN reports.hourly_targets.spend IS 'Cost of clicks or impressions, in the row''s currency.';
COMMENT ON COLUMN reports.hourly_targets.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';
COMMENT ON COLUMN reports.hourly_targets.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.';
COMMENT ON COLUMN reports.hourly_targets.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';
COMMENT ON COLUMN reports.hourly_targets.cpc IS 'Cost per click: spend / clicks of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.hourly_targets.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.hourly_targets.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.hourly_targets.roas IS 'Return on ad spend: sales / spend of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.hourly_targets.as_of IS 'When the report of the row''s day was requested: later events are not in the report. Null if the day must be loaded again, because reports combine other ad products now.';
COMMENT ON COLUMN reports.hourly_targets.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.';
COMMENT ON COLUMN reports.hourly_targets.is_complete IS 'Whether every report of the day that Amazon serves is loaded. If it is false, sums of the day are too small. If it is true, `not_served` and `left_out` of `reports.days` may still list ad products and campaigns without data.';

CREATE VIEW reports.daily_products AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.window_date,
       t.ad_product,
       CASE WHEN t.ad_product <> 'SPONSORED_PRODUCTS' OR a.account_type = 'vendor' THEN 14
            WHEN a.account_type = 'seller' THEN 7 END AS attribution_days,
       t.currency_code,
       t.campaign_id,
       c.name AS campaign_name,
       c.portfolio_id,
       f.name AS portfolio_name,
       t.ad_group_id,
       g.name AS ad_group_name,
       t.ad_id,
       t.product_id,
       t.sku,
       t.marketplace,
       t.impressions,
       t.clicks,
       t.spend,
       t.orders,
       t.sales,
       t.units,
       CAST(t.spend AS numeric) / nullif(t.clicks, 0) AS cpc,
       CAST(t.clicks AS numeric) / nullif(t.impressions, 0) AS ctr,
       CAST(t.spend AS numeric) / nullif(t.sales, 0) AS acos,
       CAST(t.sales AS numeric) / nullif(t.spend, 0) AS roas,
       w.as_of,
       w.is_final,
       w.is_complete
  FROM daily_products t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code
          AND w.dataset = 'daily_products' AND w.window_date = t.window_date) w ON true;
COMMENT ON VIEW reports.daily_products IS 'Daily performance by advertised product. One row is one product, day, ad product and currency of an account.';
COMMENT ON COLUMN reports.daily_products.account_key IS 'Key of the account: an ads account in one country.';
COMMENT ON COLUMN reports.daily_products.account_name IS 'Name of the account.';
COMMENT ON COLUMN reports.daily_products.country_code IS 'Country of the account: two letters, GB for the United Kingdom.';
COMMENT ON COLUMN reports.daily_products.window_date IS 'Day of the account''s own calendar.';
COMMENT ON COLUMN reports.daily_products.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …';
COMMENT ON COLUMN reports.daily_products.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for Sponsored Products of vendors and for all other ad products; null if Amazon does not state whether the account is a seller''s or a vendor''s.';
COMMENT ON COLUMN reports.daily_products.currency_code IS 'Currency of the amounts.';
COMMENT ON COLUMN reports.daily_products.campaign_id IS 'Amazon''s id of the campaign.';
COMMENT ON COLUMN reports.daily_products.campaign_name IS 'Current name of the campaign; null until the campaign is in an export.';
COMMENT ON COLUMN reports.daily_products.portfolio_id IS 'Id of the campaign''s current portfolio; null if the campaign is in no portfolio.';
COMMENT ON COLUMN reports.daily_products.portfolio_name IS 'Current name of this portfolio.';
COMMENT ON COLUMN reports.daily_products.ad_group_id IS 'Amazon''s id of the ad group.';
COMMENT ON COLUMN reports.daily_products.ad_group_name IS 'Current name of the ad group; null until the ad group is in an export.';
COMMENT ON COLUMN reports.daily_products.ad_id IS 'Amazon''s id of the ad.';
COMMENT ON COLUMN reports.daily_products.product_id IS 'ASIN of the advertised product.';
COMMENT ON COLUMN reports.daily_products.sku IS 'The seller''s SKU of the advertised product.';
COMMENT ON COLUMN reports.daily_products.marketplace IS 'Marketplace of the advertised product.';
COMMENT ON COLUMN reports.daily_products.impressions IS 'Times the ad was shown.';
COMMENT ON COLUMN reports.daily_products.clicks IS 'Valid clicks on the ad.';
COMMENT ON COLUMN reports.daily_products.spend IS 'Cost of clicks or impressions, in the row''s currency.';
COMMENT ON COLUMN reports.daily_products.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';
COMMENT ON COLUMN reports.daily_products.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.';
COMMENT ON COLUMN reports.daily_products.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';
COMMENT ON COLUMN reports.daily_products.cpc IS 'Cost per click: spend / clicks of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.daily_products.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.daily_products.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.daily_products.roas IS 'Return on ad spend: sales / spend of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.daily_products.as_of IS 'When the report of the row''s day was requested: later events are not in the report. Null if the day must be loaded again, because reports combine other ad products now.';
COMMENT ON COLUMN reports.daily_products.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.';
COMMENT ON COLUMN reports.daily_products.is_complete IS 'Whether every report of the day that Amazon serves is loaded. If it is false, sums of the day are too small. If it is true, `not_served` and `left_out` of `reports.days` may still list ad products and campaigns without data.';

CREATE VIEW reports.hourly_products AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.window_date,
       t.hour_at,
       CAST(extract(hour FROM t.hour_at AT TIME ZONE a.time_zone) AS integer) AS local_hour,
       t.ad_product,
       CASE WHEN t.ad_product <> 'SPONSORED_PRODUCTS' OR a.account_type = 'vendor' THEN 14
            WHEN a.account_type = 'seller' THEN 7 END AS attribution_days,
       t.currency_code,
       t.campaign_id,
       c.name AS campaign_name,
       c.portfolio_id,
       f.name AS portfolio_name,
       t.ad_group_id,
       g.name AS ad_group_name,
       t.ad_id,
       t.product_id,
       t.marketplace,
       t.impressions,
       t.clicks,
       t.spend,
       t.orders,
       t.sales,
       t.units,
       CAST(t.spend AS numeric) / nullif(t.clicks, 0) AS cpc,
       CAST(t.clicks AS numeric) / nullif(t.impressions, 0) AS ctr,
       CAST(t.spend AS numeric) / nullif(t.sales, 0) AS acos,
       CAST(t.sales AS numeric) / nullif(t.spend, 0) AS roas,
       w.as_of,
       w.is_final,
       w.is_complete
  FROM hourly_products t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code
          AND w.dataset = 'hourly_products' AND w.window_date = t.window_date) w ON true;
COMMENT ON VIEW reports.hourly_products IS 'Hourly performance by advertised product. One row is one product, hour, ad product and currency of an account.';
COMMENT ON COLUMN reports.hourly_products.account_key IS 'Key of the account: an ads account in one country.';
COMMENT ON COLUMN reports.hourly_products.account_name IS 'Name of the account.';
COMMENT ON COLUMN reports.hourly_products.country_code IS 'Country of the account: two letters, GB for the United Kingdom.';
COMMENT ON COLUMN reports.hourly_products.window_date IS 'Day of the account''s own calendar.';
COMMENT ON COLUMN reports.hourly_products.hour_at IS 'When the hour began.';
COMMENT ON COLUMN reports.hourly_products.local_hour IS 'Hour of the day on the account''s own clock: 0 to 23.';
COMMENT ON COLUMN reports.hourly_products.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …';
COMMENT ON COLUMN reports.hourly_products.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for Sponsored Products of vendors and for all other ad products; null if Amazon does not state whether the account is a seller''s or a vendor''s.';
COMMENT ON COLUMN reports.hourly_products.currency_code IS 'Currency of the amounts.';
COMMENT ON COLUMN reports.hourly_products.campaign_id IS 'Amazon''s id of the campaign.';
COMMENT ON COLUMN reports.hourly_products.campaign_name IS 'Current name of the campaign; null until the campaign is in an export.';
COMMENT ON COLUMN reports.hourly_products.portfolio_id IS 'Id of the campaign''s current portfolio; null if the campaign is in no portfolio.';
COMMENT ON COLUMN reports.hourly_products.portfolio_name IS 'Current name of this portfolio.';
COMMENT ON COLUMN reports.hourly_products.ad_group_id IS 'Amazon''s id of the ad group.';
COMMENT ON COLUMN reports.hourly_products.ad_group_name IS 'Current name of the ad group; null until the ad group is in an export.';
COMMENT ON COLUMN reports.hourly_products.ad_id IS 'Amazon''s id of the ad.';
COMMENT ON COLUMN reports.hourly_products.product_id IS 'ASIN of the advertised product.';
COMMENT ON COLUMN reports.hourly_products.marketplace IS 'Marketplace of the advertised product.';
COMMENT ON COLUMN reports.hourly_products.impressions IS 'Times the ad was shown.';
COMMENT ON COLUMN reports.hourly_products.clicks IS 'Valid clicks on the ad.';
COMMENT ON COLUMN reports.hourly_products.spend IS 'Cost of clicks or impressions, in the row''s currency.';
COMMENT ON COLUMN reports.hourly_products.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';
COMMENT ON COLUMN reports.hourly_products.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.';
COMMENT ON COLUMN reports.hourly_products.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';
COMMENT ON COLUMN reports.hourly_products.cpc IS 'Cost per click: spend / clicks of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.hourly_products.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.hourly_products.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.hourly_products.roas IS 'Return on ad spend: sales / spend of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.hourly_products.as_of IS 'When the report of the row''s day was requested: later events are not in the report. Null if the day must be loaded again, because reports combine other ad products now.';
COMMENT ON COLUMN reports.hourly_products.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.';
COMMENT ON COLUMN reports.hourly_products.is_complete IS 'Whether every report of the day that Amazon serves is loaded. If it is false, sums of the day are too small. If it is true, `not_served` and `left_out` of `reports.days` may still list ad products and campaigns without data.';

CREATE VIEW reports.daily_search_terms AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.window_date,
       t.ad_product,
       CASE WHEN t.ad_product <> 'SPONSORED_PRODUCTS' OR a.account_type = 'vendor' THEN 14
            WHEN a.account_type = 'seller' THEN 7 END AS attribution_days,
       t.currency_code,
       t.campaign_id,
       c.name AS campaign_name,
       c.portfolio_id,
       f.name AS portfolio_name,
       t.ad_group_id,
       g.name AS ad_group_name,
       t.target_value,
       t.match_type,
       t.search_term,
       n.target_id,
       t.impressions,
       t.clicks,
       t.spend,
       t.orders,
       t.sales,
       t.units,
       CAST(t.spend AS numeric) / nullif(t.clicks, 0) AS cpc,
       CAST(t.clicks AS numeric) / nullif(t.impressions, 0) AS ctr,
       CAST(t.spend AS numeric) / nullif(t.sales, 0) AS acos,
       CAST(t.sales AS numeric) / nullif(t.spend, 0) AS roas,
       w.as_of,
       w.is_final,
       w.is_complete
  FROM daily_search_terms t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN target_names n ON n.account = t.account AND n.ad_group_id = t.ad_group_id
                          AND n.match_digest = t.target_match
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code
          AND w.dataset = 'daily_search_terms' AND w.window_date = t.window_date) w ON true;
COMMENT ON VIEW reports.daily_search_terms IS 'Daily performance by search term. One row is one target and search term, day, ad product and currency of an account.';
COMMENT ON COLUMN reports.daily_search_terms.account_key IS 'Key of the account: an ads account in one country.';
COMMENT ON COLUMN reports.daily_search_terms.account_name IS 'Name of the account.';
COMMENT ON COLUMN reports.daily_search_terms.country_code IS 'Country of the account: two letters, GB for the United Kingdom.';
COMMENT ON COLUMN reports.daily_search_terms.window_date IS 'Day of the account''s own calendar.';
COMMENT ON COLUMN reports.daily_search_terms.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …';
COMMENT ON COLUMN reports.daily_search_terms.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for Sponsored Products of vendors and for all other ad products; null if Amazon does not state whether the account is a seller''s or a vendor''s.';
COMMENT ON COLUMN reports.daily_search_terms.currency_code IS 'Currency of the amounts.';
COMMENT ON COLUMN reports.daily_search_terms.campaign_id IS 'Amazon''s id of the campaign.';
COMMENT ON COLUMN reports.daily_search_terms.campaign_name IS 'Current name of the campaign; null until the campaign is in an export.';
COMMENT ON COLUMN reports.daily_search_terms.portfolio_id IS 'Id of the campaign''s current portfolio; null if the campaign is in no portfolio.';
COMMENT ON COLUMN reports.daily_search_terms.portfolio_name IS 'Current name of this portfolio.';
COMMENT ON COLUMN reports.daily_search_terms.ad_group_id IS 'Amazon''s id of the ad group.';
COMMENT ON COLUMN reports.daily_search_terms.ad_group_name IS 'Current name of the ad group; null until the ad group is in an export.';
COMMENT ON COLUMN reports.daily_search_terms.target_value IS 'The target as reported: a keyword, an expression, or the name of an automatic target.';
COMMENT ON COLUMN reports.daily_search_terms.match_type IS 'How the target is matched, as reported; null if the ad product has no match types.';
COMMENT ON COLUMN reports.daily_search_terms.search_term IS 'What the shopper typed, or the ASIN of the product page that the shopper saw. Only terms with a click are reported.';
COMMENT ON COLUMN reports.daily_search_terms.target_id IS 'Id of the target that the row names; null until the target is in an export.';
COMMENT ON COLUMN reports.daily_search_terms.impressions IS 'Times the ad was shown.';
COMMENT ON COLUMN reports.daily_search_terms.clicks IS 'Valid clicks on the ad.';
COMMENT ON COLUMN reports.daily_search_terms.spend IS 'Cost of clicks or impressions, in the row''s currency.';
COMMENT ON COLUMN reports.daily_search_terms.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';
COMMENT ON COLUMN reports.daily_search_terms.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.';
COMMENT ON COLUMN reports.daily_search_terms.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';
COMMENT ON COLUMN reports.daily_search_terms.cpc IS 'Cost per click: spend / clicks of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.daily_search_terms.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.daily_search_terms.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.daily_search_terms.roas IS 'Return on ad spend: sales / spend of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.daily_search_terms.as_of IS 'When the report of the row''s day was requested: later events are not in the report. Null if the day must be loaded again, because reports combine other ad products now.';
COMMENT ON COLUMN reports.daily_search_terms.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.';
COMMENT ON COLUMN reports.daily_search_terms.is_complete IS 'Whether every report of the day that Amazon serves is loaded. If it is false, sums of the day are too small. If it is true, `not_served` and `left_out` of `reports.days` may still list ad products and campaigns without data.';

CREATE VIEW reports.daily_purchased_products AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.window_date,
       t.ad_product,
       CASE WHEN t.ad_product <> 'SPONSORED_PRODUCTS' OR a.account_type = 'vendor' THEN 14
            WHEN a.account_type = 'seller' THEN 7 END AS attribution_days,
       t.currency_code,
       t.campaign_id,
       c.name AS campaign_name,
       c.portfolio_id,
       f.name AS portfolio_name,
       t.ad_group_id,
       g.name AS ad_group_name,
       t.target_value,
       t.match_type,
       t.product_id,
       t.sku,
       t.purchased_product_id,
       t.purchased_marketplace,
       n.target_id,
       t.orders,
       t.sales,
       t.units,
       t.orders_promoted,
       t.sales_promoted,
       t.units_promoted,
       t.orders_halo,
       t.sales_halo,
       t.units_halo,
       t.orders_from_clicks,
       t.sales_from_clicks,
       t.units_from_clicks,
       t.new_to_brand_orders,
       t.new_to_brand_sales,
       t.new_to_brand_units,
       w.as_of,
       w.is_final,
       w.is_complete
  FROM daily_purchased_products t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN target_names n ON n.account = t.account AND n.ad_group_id = t.ad_group_id
                          AND n.match_digest = t.target_match
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code
          AND w.dataset = 'daily_purchased_products' AND w.window_date = t.window_date) w ON true;
COMMENT ON VIEW reports.daily_purchased_products IS 'Daily conversions by purchased product. One row is one purchased product, day, ad product and currency of an account.';
COMMENT ON COLUMN reports.daily_purchased_products.account_key IS 'Key of the account: an ads account in one country.';
COMMENT ON COLUMN reports.daily_purchased_products.account_name IS 'Name of the account.';
COMMENT ON COLUMN reports.daily_purchased_products.country_code IS 'Country of the account: two letters, GB for the United Kingdom.';
COMMENT ON COLUMN reports.daily_purchased_products.window_date IS 'Day of the account''s own calendar.';
COMMENT ON COLUMN reports.daily_purchased_products.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …';
COMMENT ON COLUMN reports.daily_purchased_products.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for Sponsored Products of vendors and for all other ad products; null if Amazon does not state whether the account is a seller''s or a vendor''s.';
COMMENT ON COLUMN reports.daily_purchased_products.currency_code IS 'Currency of the amounts.';
COMMENT ON COLUMN reports.daily_purchased_products.campaign_id IS 'Amazon''s id of the campaign.';
COMMENT ON COLUMN reports.daily_purchased_products.campaign_name IS 'Current name of the campaign; null until the campaign is in an export.';
COMMENT ON COLUMN reports.daily_purchased_products.portfolio_id IS 'Id of the campaign''s current portfolio; null if the campaign is in no portfolio.';
COMMENT ON COLUMN reports.daily_purchased_products.portfolio_name IS 'Current name of this portfolio.';
COMMENT ON COLUMN reports.daily_purchased_products.ad_group_id IS 'Amazon''s id of the ad group.';
COMMENT ON COLUMN reports.daily_purchased_products.ad_group_name IS 'Current name of the ad group; null until the ad group is in an export.';
COMMENT ON COLUMN reports.daily_purchased_products.target_value IS 'The target as reported: a keyword, an expression, or the name of an automatic target.';
COMMENT ON COLUMN reports.daily_purchased_products.match_type IS 'How the target is matched, as reported; null if the ad product has no match types.';
COMMENT ON COLUMN reports.daily_purchased_products.product_id IS 'ASIN of the advertised product.';
COMMENT ON COLUMN reports.daily_purchased_products.sku IS 'The seller''s SKU of the advertised product.';
COMMENT ON COLUMN reports.daily_purchased_products.purchased_product_id IS 'ASIN of the product that was bought.';
COMMENT ON COLUMN reports.daily_purchased_products.purchased_marketplace IS 'Marketplace in which the product was bought.';
COMMENT ON COLUMN reports.daily_purchased_products.target_id IS 'Id of the target that the row names; null until the target is in an export.';
COMMENT ON COLUMN reports.daily_purchased_products.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';
COMMENT ON COLUMN reports.daily_purchased_products.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.';
COMMENT ON COLUMN reports.daily_purchased_products.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.';
COMMENT ON COLUMN reports.daily_purchased_products.orders_promoted IS 'Orders for the advertised product.';
COMMENT ON COLUMN reports.daily_purchased_products.sales_promoted IS 'Sales of the advertised product.';
COMMENT ON COLUMN reports.daily_purchased_products.units_promoted IS 'Units sold of the advertised product.';
COMMENT ON COLUMN reports.daily_purchased_products.orders_halo IS 'Orders for other products of the same brand.';
COMMENT ON COLUMN reports.daily_purchased_products.sales_halo IS 'Sales of other products of the same brand.';
COMMENT ON COLUMN reports.daily_purchased_products.units_halo IS 'Units sold of other products of the same brand.';
COMMENT ON COLUMN reports.daily_purchased_products.orders_from_clicks IS 'Orders after a click; orders after a view only are not counted.';
COMMENT ON COLUMN reports.daily_purchased_products.sales_from_clicks IS 'Sales after a click; sales after a view only are not counted.';
COMMENT ON COLUMN reports.daily_purchased_products.units_from_clicks IS 'Units sold after a click; units sold after a view only are not counted.';
COMMENT ON COLUMN reports.daily_purchased_products.new_to_brand_orders IS 'Orders of shoppers who had bought nothing of the brand in the 12 months before.';
COMMENT ON COLUMN reports.daily_purchased_products.new_to_brand_sales IS 'Sales to shoppers who had bought nothing of the brand in the 12 months before.';
COMMENT ON COLUMN reports.daily_purchased_products.new_to_brand_units IS 'Units sold to shoppers who had bought nothing of the brand in the 12 months before.';
COMMENT ON COLUMN reports.daily_purchased_products.as_of IS 'When the report of the row''s day was requested: later events are not in the report. Null if the day must be loaded again, because reports combine other ad products now.';
COMMENT ON COLUMN reports.daily_purchased_products.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.';
COMMENT ON COLUMN reports.daily_purchased_products.is_complete IS 'Whether every report of the day that Amazon serves is loaded. If it is false, sums of the day are too small. If it is true, `not_served` and `left_out` of `reports.days` may still list ad products and campaigns without data.';

CREATE VIEW reports.portfolios AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.portfolio_id,
       t.name,
       t.in_budget,
       t.budget,
       t.currency_code,
       t.budget_policy,
       t.start_date,
       t.end_date,
       t.state,
       t.details,
       t.seen_at,
       t.missing_since,
       t.gone_since
  FROM portfolios t
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code;
COMMENT ON VIEW reports.portfolios IS 'A portfolio of campaigns, as Amazon sent it last.';
COMMENT ON COLUMN reports.portfolios.account_key IS 'Key of the account: an ads account in one country.';
COMMENT ON COLUMN reports.portfolios.account_name IS 'Name of the account.';
COMMENT ON COLUMN reports.portfolios.country_code IS 'Country of the account: two letters, GB for the United Kingdom.';
COMMENT ON COLUMN reports.portfolios.portfolio_id IS 'Amazon''s id of the portfolio';
COMMENT ON COLUMN reports.portfolios.name IS 'Name at Amazon';
COMMENT ON COLUMN reports.portfolios.in_budget IS 'Whether its budget is not used up';
COMMENT ON COLUMN reports.portfolios.budget IS 'Budget that its campaigns share, in currency_code';
COMMENT ON COLUMN reports.portfolios.currency_code IS 'Currency of the amounts';
COMMENT ON COLUMN reports.portfolios.budget_policy IS 'DATE_RANGE, MONTHLY_RECURRING or NO_CAP';
COMMENT ON COLUMN reports.portfolios.start_date IS 'First day, on the account''s own calendar';
COMMENT ON COLUMN reports.portfolios.end_date IS 'Last day, on the account''s own calendar; null where it has none';
COMMENT ON COLUMN reports.portfolios.state IS 'ENABLED, PAUSED, ARCHIVED, or another word of Amazon''s';
COMMENT ON COLUMN reports.portfolios.details IS 'Every field that no column holds, as Amazon sent it';
COMMENT ON COLUMN reports.portfolios.seen_at IS 'When Amazon sent it last';
COMMENT ON COLUMN reports.portfolios.missing_since IS 'First complete export without it; null while Amazon sends it';
COMMENT ON COLUMN reports.portfolios.gone_since IS 'Second complete export in a row without it; null while it exists';

CREATE VIEW reports.campaigns AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.campaign_id,
       t.name,
       t.portfolio_id,
       t.brand_entity_id,
       t.targeting,
       t.cost_type,
       t.start_date,
       t.end_date,
       t.budget,
       t.rule_budget,
       t.budget_type,
       t.budget_recurrence,
       t.currency_code,
       t.bid_strategy,
       t.placement_bid_adjustments,
       t.is_reported,
       t.state,
       t.ad_product,
       t.delivery_status,
       t.delivery_reasons,
       t.created_at,
       t.updated_at,
       t.details,
       t.seen_at,
       t.missing_since,
       t.gone_since
  FROM campaigns t
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code;
COMMENT ON VIEW reports.campaigns IS 'A campaign of an account, as Amazon sent it last.';
COMMENT ON COLUMN reports.campaigns.account_key IS 'Key of the account: an ads account in one country.';
COMMENT ON COLUMN reports.campaigns.account_name IS 'Name of the account.';
COMMENT ON COLUMN reports.campaigns.country_code IS 'Country of the account: two letters, GB for the United Kingdom.';
COMMENT ON COLUMN reports.campaigns.campaign_id IS 'Amazon''s id of the campaign';
COMMENT ON COLUMN reports.campaigns.name IS 'Name at Amazon';
COMMENT ON COLUMN reports.campaigns.portfolio_id IS 'Amazon''s id of the portfolio';
COMMENT ON COLUMN reports.campaigns.brand_entity_id IS 'The brand of Sponsored Brands';
COMMENT ON COLUMN reports.campaigns.targeting IS 'AUTO, MANUAL, or a tactic such as T00020';
COMMENT ON COLUMN reports.campaigns.cost_type IS 'CPC or VCPM, if Amazon reports it';
COMMENT ON COLUMN reports.campaigns.start_date IS 'First day, on the account''s own calendar';
COMMENT ON COLUMN reports.campaigns.end_date IS 'Last day, on the account''s own calendar; null where it has none';
COMMENT ON COLUMN reports.campaigns.budget IS 'What the advertiser set, in currency_code';
COMMENT ON COLUMN reports.campaigns.rule_budget IS 'The budget that a budget rule made of it';
COMMENT ON COLUMN reports.campaigns.budget_type IS 'What the budget limits, for example MONETARY';
COMMENT ON COLUMN reports.campaigns.budget_recurrence IS 'DAILY or LIFETIME';
COMMENT ON COLUMN reports.campaigns.currency_code IS 'Currency of the amounts';
COMMENT ON COLUMN reports.campaigns.bid_strategy IS 'How Amazon adjusts bids, in its own words';
COMMENT ON COLUMN reports.campaigns.placement_bid_adjustments IS 'A list of placements, each with a percentage';
COMMENT ON COLUMN reports.campaigns.is_reported IS 'Whether Amazon reports its numbers: false for one of Sponsored Brands without ad groups';
COMMENT ON COLUMN reports.campaigns.state IS 'ENABLED, PAUSED, ARCHIVED, or another word of Amazon''s';
COMMENT ON COLUMN reports.campaigns.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS or SPONSORED_DISPLAY';
COMMENT ON COLUMN reports.campaigns.delivery_status IS 'DELIVERING, NOT_DELIVERING or UNAVAILABLE';
COMMENT ON COLUMN reports.campaigns.delivery_reasons IS 'Why it is not delivering: a list';
COMMENT ON COLUMN reports.campaigns.created_at IS 'When it was created at Amazon';
COMMENT ON COLUMN reports.campaigns.updated_at IS 'When it was last changed at Amazon';
COMMENT ON COLUMN reports.campaigns.details IS 'Every field that no column holds, as Amazon sent it';
COMMENT ON COLUMN reports.campaigns.seen_at IS 'When Amazon sent it last';
COMMENT ON COLUMN reports.campaigns.missing_since IS 'First complete export without it; null while Amazon sends it';
COMMENT ON COLUMN reports.campaigns.gone_since IS 'Second complete export in a row without it; null while it exists';

CREATE VIEW reports.ad_groups AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.ad_group_id,
       t.campaign_id,
       t.name,
       t.default_bid,
       t.currency_code,
       t.creative_type,
       t.goal,
       t.kpi,
       t.state,
       t.ad_product,
       t.delivery_status,
       t.delivery_reasons,
       t.created_at,
       t.updated_at,
       t.details,
       t.seen_at,
       t.missing_since,
       t.gone_since
  FROM ad_groups t
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code;
COMMENT ON VIEW reports.ad_groups IS 'An ad group of a campaign, as Amazon sent it last.';
COMMENT ON COLUMN reports.ad_groups.account_key IS 'Key of the account: an ads account in one country.';
COMMENT ON COLUMN reports.ad_groups.account_name IS 'Name of the account.';
COMMENT ON COLUMN reports.ad_groups.country_code IS 'Country of the account: two letters, GB for the United Kingdom.';
COMMENT ON COLUMN reports.ad_groups.ad_group_id IS 'Amazon''s id of the ad group';
COMMENT ON COLUMN reports.ad_groups.campaign_id IS 'Amazon''s id of the campaign';
COMMENT ON COLUMN reports.ad_groups.name IS 'Name at Amazon';
COMMENT ON COLUMN reports.ad_groups.default_bid IS 'Bid of targets that have none of their own, in currency_code; null in Sponsored Brands';
COMMENT ON COLUMN reports.ad_groups.currency_code IS 'Currency of the amounts';
COMMENT ON COLUMN reports.ad_groups.creative_type IS 'Kind of creative, if Amazon reports it';
COMMENT ON COLUMN reports.ad_groups.goal IS 'What Sponsored Display optimizes for';
COMMENT ON COLUMN reports.ad_groups.kpi IS 'The measure of that goal';
COMMENT ON COLUMN reports.ad_groups.state IS 'ENABLED, PAUSED, ARCHIVED, or another word of Amazon''s';
COMMENT ON COLUMN reports.ad_groups.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS or SPONSORED_DISPLAY';
COMMENT ON COLUMN reports.ad_groups.delivery_status IS 'DELIVERING, NOT_DELIVERING or UNAVAILABLE';
COMMENT ON COLUMN reports.ad_groups.delivery_reasons IS 'Why it is not delivering: a list';
COMMENT ON COLUMN reports.ad_groups.created_at IS 'When it was created at Amazon';
COMMENT ON COLUMN reports.ad_groups.updated_at IS 'When it was last changed at Amazon';
COMMENT ON COLUMN reports.ad_groups.details IS 'Every field that no column holds, as Amazon sent it';
COMMENT ON COLUMN reports.ad_groups.seen_at IS 'When Amazon sent it last';
COMMENT ON COLUMN reports.ad_groups.missing_since IS 'First complete export without it; null while Amazon sends it';
COMMENT ON COLUMN reports.ad_groups.gone_since IS 'Second complete export in a row without it; null while it exists';

CREATE VIEW reports.ads AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.ad_id,
       t.ad_group_id,
       t.campaign_id,
       t.name,
       t.ad_type,
       t.asins,
       t.skus,
       t.landing_page_type,
       t.landing_page_url,
       t.state,
       t.ad_product,
       t.delivery_status,
       t.delivery_reasons,
       t.created_at,
       t.updated_at,
       t.details,
       t.seen_at,
       t.missing_since,
       t.gone_since
  FROM ads t
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code;
COMMENT ON VIEW reports.ads IS 'An ad of an ad group, as Amazon sent it last.';
COMMENT ON COLUMN reports.ads.account_key IS 'Key of the account: an ads account in one country.';
COMMENT ON COLUMN reports.ads.account_name IS 'Name of the account.';
COMMENT ON COLUMN reports.ads.country_code IS 'Country of the account: two letters, GB for the United Kingdom.';
COMMENT ON COLUMN reports.ads.ad_id IS 'Amazon''s id of the ad';
COMMENT ON COLUMN reports.ads.ad_group_id IS 'Amazon''s id of the ad group';
COMMENT ON COLUMN reports.ads.campaign_id IS 'Amazon''s id of the campaign';
COMMENT ON COLUMN reports.ads.name IS 'Name at Amazon';
COMMENT ON COLUMN reports.ads.ad_type IS 'PRODUCT_AD, PRODUCT_COLLECTION, VIDEO, IMAGE …';
COMMENT ON COLUMN reports.ads.asins IS 'The products it shows, in Amazon''s order';
COMMENT ON COLUMN reports.ads.skus IS 'The seller''s SKUs of these products';
COMMENT ON COLUMN reports.ads.landing_page_type IS 'Kind of page that a click leads to';
COMMENT ON COLUMN reports.ads.landing_page_url IS 'The page that a click leads to';
COMMENT ON COLUMN reports.ads.state IS 'ENABLED, PAUSED, ARCHIVED, or another word of Amazon''s';
COMMENT ON COLUMN reports.ads.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS or SPONSORED_DISPLAY';
COMMENT ON COLUMN reports.ads.delivery_status IS 'DELIVERING, NOT_DELIVERING or UNAVAILABLE';
COMMENT ON COLUMN reports.ads.delivery_reasons IS 'Why it is not delivering: a list';
COMMENT ON COLUMN reports.ads.created_at IS 'When it was created at Amazon';
COMMENT ON COLUMN reports.ads.updated_at IS 'When it was last changed at Amazon';
COMMENT ON COLUMN reports.ads.details IS 'Every field that no column holds, as Amazon sent it';
COMMENT ON COLUMN reports.ads.seen_at IS 'When Amazon sent it last';
COMMENT ON COLUMN reports.ads.missing_since IS 'First complete export without it; null while Amazon sends it';
COMMENT ON COLUMN reports.ads.gone_since IS 'Second complete export in a row without it; null while it exists';

CREATE VIEW reports.targets AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.target_id,
       t.ad_group_id,
       t.campaign_id,
       t.negative,
       t.target_type,
       t.target_level,
       t.match_type,
       t.keyword,
       t.asin,
       t.category_id,
       t.category,
       t.brand_id,
       t.brand,
       t.audience_id,
       t.event,
       t.lookback_days,
       t.expression,
       t.bid,
       t.currency_code,
       t.match_digest,
       t.state,
       t.ad_product,
       t.delivery_status,
       t.delivery_reasons,
       t.created_at,
       t.updated_at,
       t.details,
       t.seen_at,
       t.missing_since,
       t.gone_since
  FROM targets t
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code;
COMMENT ON VIEW reports.targets IS 'A target of an ad group or campaign, as Amazon sent it last.';
COMMENT ON COLUMN reports.targets.account_key IS 'Key of the account: an ads account in one country.';
COMMENT ON COLUMN reports.targets.account_name IS 'Name of the account.';
COMMENT ON COLUMN reports.targets.country_code IS 'Country of the account: two letters, GB for the United Kingdom.';
COMMENT ON COLUMN reports.targets.target_id IS 'Amazon''s id of the target';
COMMENT ON COLUMN reports.targets.ad_group_id IS 'Amazon''s id of the ad group';
COMMENT ON COLUMN reports.targets.campaign_id IS 'Amazon''s id of the campaign';
COMMENT ON COLUMN reports.targets.negative IS 'Whether it keeps ads from showing';
COMMENT ON COLUMN reports.targets.target_type IS 'AUTO, KEYWORD, PRODUCT, PRODUCT_CATEGORY, AUDIENCE, THEME …';
COMMENT ON COLUMN reports.targets.target_level IS 'AD_GROUP or CAMPAIGN';
COMMENT ON COLUMN reports.targets.match_type IS 'EXACT, PHRASE, PRODUCT_SIMILAR …';
COMMENT ON COLUMN reports.targets.keyword IS 'Text of a keyword';
COMMENT ON COLUMN reports.targets.asin IS 'ASIN of a product';
COMMENT ON COLUMN reports.targets.category_id IS 'Amazon''s id of a product category';
COMMENT ON COLUMN reports.targets.category IS 'Name of that category';
COMMENT ON COLUMN reports.targets.brand_id IS 'Amazon''s id of the brand that refines a category';
COMMENT ON COLUMN reports.targets.brand IS 'Name of that brand';
COMMENT ON COLUMN reports.targets.audience_id IS 'Amazon''s id of an audience';
COMMENT ON COLUMN reports.targets.event IS 'VIEW or PURCHASE, for an audience by what it did';
COMMENT ON COLUMN reports.targets.lookback_days IS 'Days back that the event of an audience counts';
COMMENT ON COLUMN reports.targets.expression IS 'A category with its refinements, as reports write it';
COMMENT ON COLUMN reports.targets.bid IS 'Bid in currency_code; null where the ad group''s default_bid holds';
COMMENT ON COLUMN reports.targets.currency_code IS 'Currency of the amounts';
COMMENT ON COLUMN reports.targets.match_digest IS 'Digest of the text by which reports name it; null where they cannot';
COMMENT ON COLUMN reports.targets.state IS 'ENABLED, PAUSED, ARCHIVED, or another word of Amazon''s';
COMMENT ON COLUMN reports.targets.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS or SPONSORED_DISPLAY';
COMMENT ON COLUMN reports.targets.delivery_status IS 'DELIVERING, NOT_DELIVERING or UNAVAILABLE';
COMMENT ON COLUMN reports.targets.delivery_reasons IS 'Why it is not delivering: a list';
COMMENT ON COLUMN reports.targets.created_at IS 'When it was created at Amazon';
COMMENT ON COLUMN reports.targets.updated_at IS 'When it was last changed at Amazon';
COMMENT ON COLUMN reports.targets.details IS 'Every field that no column holds, as Amazon sent it';
COMMENT ON COLUMN reports.targets.seen_at IS 'When Amazon sent it last';
COMMENT ON COLUMN reports.targets.missing_since IS 'First complete export without it; null while Amazon sends it';
COMMENT ON COLUMN reports.targets.gone_since IS 'Second complete export in a row without it; null while it exists';

CREATE VIEW reports.restatements AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.dataset,
       t.window_date,
       t.ad_product,
       t.currency_code,
       t.load_number,
       t.data_as_of AS as_of,
       t.age_days,
       t.confirmed_as_of,
       t.impressions_before,
       t.impressions,
       t.clicks_before,
       t.clicks,
       t.orders_before,
       t.orders,
       t.sales_before,
       t.sales,
       t.spend_before,
       t.spend,
       t.rows_changed,
       t.rows_appeared,
       t.rows_vanished,
       w.is_final,
       w.is_complete
  FROM window_restatements t
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code
          AND w.dataset = t.dataset AND w.window_date = t.window_date) w ON true;
COMMENT ON VIEW reports.restatements IS 'How the totals of a day changed from load to load. One row is the first load of a day of a dataset, or a later load that changed the day''s totals, for one ad product and one currency. Days whose restatements were deleted have no rows.';
COMMENT ON COLUMN reports.restatements.account_key IS 'Key of the account: an ads account in one country.';
COMMENT ON COLUMN reports.restatements.account_name IS 'Name of the account.';
COMMENT ON COLUMN reports.restatements.country_code IS 'Country of the account: two letters, GB for the United Kingdom.';
COMMENT ON COLUMN reports.restatements.dataset IS 'Name of the dataset and of its view.';
COMMENT ON COLUMN reports.restatements.window_date IS 'Day of the account''s own calendar.';
COMMENT ON COLUMN reports.restatements.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …';
COMMENT ON COLUMN reports.restatements.currency_code IS 'Currency of the amounts.';
COMMENT ON COLUMN reports.restatements.load_number IS '1 for the first load; loads that changed nothing are not counted.';
COMMENT ON COLUMN reports.restatements.as_of IS 'When the report of this load was requested: later events are not in the report.';
COMMENT ON COLUMN reports.restatements.age_days IS 'Age of the day in days at `as_of`, on the account''s calendar.';
COMMENT ON COLUMN reports.restatements.confirmed_as_of IS 'When the newest report that states these totals was requested.';
COMMENT ON COLUMN reports.restatements.impressions_before IS 'The day''s impressions before this load; null for the first load.';
COMMENT ON COLUMN reports.restatements.impressions IS 'The day''s impressions after this load.';
COMMENT ON COLUMN reports.restatements.clicks_before IS 'The day''s clicks before this load; null for the first load.';
COMMENT ON COLUMN reports.restatements.clicks IS 'The day''s clicks after this load.';
COMMENT ON COLUMN reports.restatements.orders_before IS 'The day''s orders before this load; null for the first load.';
COMMENT ON COLUMN reports.restatements.orders IS 'The day''s orders after this load.';
COMMENT ON COLUMN reports.restatements.sales_before IS 'The day''s sales before this load; null for the first load.';
COMMENT ON COLUMN reports.restatements.sales IS 'The day''s sales after this load.';
COMMENT ON COLUMN reports.restatements.spend_before IS 'The day''s spend before this load; null for the first load.';
COMMENT ON COLUMN reports.restatements.spend IS 'The day''s spend after this load.';
COMMENT ON COLUMN reports.restatements.rows_changed IS 'Rows whose metrics this load changed.';
COMMENT ON COLUMN reports.restatements.rows_appeared IS 'Rows that this load added.';
COMMENT ON COLUMN reports.restatements.rows_vanished IS 'Rows that this load removed.';
COMMENT ON COLUMN reports.restatements.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.';
COMMENT ON COLUMN reports.restatements.is_complete IS 'Whether every report of the day that Amazon serves is loaded. If it is false, sums of the day are too small. If it is true, `not_served` and `left_out` of `reports.days` may still list ad products and campaigns without data.';

CREATE VIEW reports.account_daily_summaries AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.window_date,
       t.ad_product,
       CASE WHEN t.ad_product <> 'SPONSORED_PRODUCTS' OR a.account_type = 'vendor' THEN 14
            WHEN a.account_type = 'seller' THEN 7 END AS attribution_days,
       t.currency_code,
       t.impressions,
       t.clicks,
       t.orders,
       t.sales,
       t.spend,
       CAST(t.spend AS numeric) / nullif(t.sales, 0) AS acos,
       CAST(t.sales AS numeric) / nullif(t.spend, 0) AS roas,
       h.impressions AS hourly_impressions,
       h.clicks AS hourly_clicks,
       h.orders AS hourly_orders,
       h.sales AS hourly_sales,
       h.spend AS hourly_spend,
       w.as_of,
       w.is_final,
       w.is_complete,
       hw.as_of AS hourly_as_of
  FROM advertiser_accounts a
 CROSS JOIN LATERAL (
    SELECT window_date, ad_product, currency_code,
           sum(impressions) AS impressions, sum(clicks) AS clicks, sum(orders) AS orders, sum(sales) AS sales, sum(spend) AS spend
      FROM (SELECT window_date, ad_product, currency_code, impressions, clicks, orders, sales, spend
              FROM daily_campaigns
             WHERE account = a.id
             UNION ALL
            SELECT w.window_date, 'SPONSORED_PRODUCTS', a.currency_code,
                   0, 0, 0, 0.000000, 0.000000
              FROM report_windows w
             WHERE w.account_id = a.account_id AND w.country_code = a.country_code
               AND w.dataset = 'daily_campaigns'
               AND w.product_totals ? 'SPONSORED_PRODUCTS'
               AND w.not_served_since IS NULL AND 'SPONSORED_PRODUCTS' <> ALL(w.not_served)) r
     GROUP BY window_date, ad_product, currency_code) t
  LEFT JOIN LATERAL (
       SELECT sum(impressions) AS impressions, sum(clicks) AS clicks, sum(orders) AS orders, sum(sales) AS sales, sum(spend) AS spend FROM hourly_campaigns h
        WHERE h.account = a.id AND h.window_date = t.window_date AND h.ad_product = t.ad_product
          AND h.currency_code = t.currency_code) h ON true
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code
          AND w.dataset = 'daily_campaigns' AND w.window_date = t.window_date) w ON true
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code
          AND w.dataset = 'hourly_campaigns' AND w.window_date = t.window_date) hw ON true;
COMMENT ON VIEW reports.account_daily_summaries IS 'Totals of each loaded day of an account, beside the sums of the day''s hours. One row is a day, ad product and currency of an account. Sponsored Products have a row for each loaded day; other ad products have rows only for days with activity.';
COMMENT ON COLUMN reports.account_daily_summaries.account_key IS 'Key of the account: an ads account in one country.';
COMMENT ON COLUMN reports.account_daily_summaries.account_name IS 'Name of the account.';
COMMENT ON COLUMN reports.account_daily_summaries.country_code IS 'Country of the account: two letters, GB for the United Kingdom.';
COMMENT ON COLUMN reports.account_daily_summaries.window_date IS 'Day of the account''s own calendar.';
COMMENT ON COLUMN reports.account_daily_summaries.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …';
COMMENT ON COLUMN reports.account_daily_summaries.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for Sponsored Products of vendors and for all other ad products; null if Amazon does not state whether the account is a seller''s or a vendor''s.';
COMMENT ON COLUMN reports.account_daily_summaries.currency_code IS 'Currency of the amounts.';
COMMENT ON COLUMN reports.account_daily_summaries.impressions IS 'Impressions of the day.';
COMMENT ON COLUMN reports.account_daily_summaries.clicks IS 'Clicks of the day.';
COMMENT ON COLUMN reports.account_daily_summaries.orders IS 'Orders of the day.';
COMMENT ON COLUMN reports.account_daily_summaries.sales IS 'Sales of the day.';
COMMENT ON COLUMN reports.account_daily_summaries.spend IS 'Spend of the day.';
COMMENT ON COLUMN reports.account_daily_summaries.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.account_daily_summaries.roas IS 'Return on ad spend: sales / spend of this row. Over several rows, divide the sums.';
COMMENT ON COLUMN reports.account_daily_summaries.hourly_impressions IS 'Sum of the impressions of the day''s hours; null if the hours were not loaded or are no longer kept.';
COMMENT ON COLUMN reports.account_daily_summaries.hourly_clicks IS 'Sum of the clicks of the day''s hours; null if the hours were not loaded or are no longer kept.';
COMMENT ON COLUMN reports.account_daily_summaries.hourly_orders IS 'Sum of the orders of the day''s hours; null if the hours were not loaded or are no longer kept.';
COMMENT ON COLUMN reports.account_daily_summaries.hourly_sales IS 'Sum of the sales of the day''s hours; null if the hours were not loaded or are no longer kept.';
COMMENT ON COLUMN reports.account_daily_summaries.hourly_spend IS 'Sum of the spend of the day''s hours; null if the hours were not loaded or are no longer kept.';
COMMENT ON COLUMN reports.account_daily_summaries.as_of IS 'When the report of the row''s day was requested: later events are not in the report. Null if the day must be loaded again, because reports combine other ad products now.';
COMMENT ON COLUMN reports.account_daily_summaries.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.';
COMMENT ON COLUMN reports.account_daily_summaries.is_complete IS 'Whether every report of the day that Amazon serves is loaded. If it is false, sums of the day are too small. If it is true, `not_served` and `left_out` of `reports.days` may still list ad products and campaigns without data.';
COMMENT ON COLUMN reports.account_daily_summaries.hourly_as_of IS 'When the hourly report was requested.';

CREATE VIEW reports.days AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       a.currency_code,
       t.dataset,
       t.window_date,
       (array_agg(t.state ORDER BY array_position(ARRAY['fresh', 'missing', 'due', 'requested', 'loading', 'not served', 'paused', 'disabled', 'late at Amazon', 'late', 'suspicious', 'unconfirmed', 'needs attention', 'failed', 'expired'], t.state) DESC, t.report))[1] AS state,
       (array_agg(t.cause ->> 'code' ORDER BY array_position(ARRAY['fresh', 'missing', 'due', 'requested', 'loading', 'not served', 'paused', 'disabled', 'late at Amazon', 'late', 'suspicious', 'unconfirmed', 'needs attention', 'failed', 'expired'], t.state) DESC, t.report))[1] AS cause,
       min(t.as_of) AS as_of,
       coalesce(bool_and(t.is_final) FILTER (WHERE t.not_served_since IS NULL), false) AS is_final,
       coalesce(bool_and(t.as_of IS NOT NULL) FILTER (WHERE t.not_served_since IS NULL), false) AS is_complete,
       min(t.next_at) AS next_at,
       array_remove(ARRAY[CASE WHEN bool_or('SPONSORED_PRODUCTS' = ANY(t.not_served)
              OR t.not_served_since IS NOT NULL AND t.last_loaded_at IS NULL
                 AND 'SP' = ANY(string_to_array(t.report, '+'))) THEN 'SPONSORED_PRODUCTS' END,
         CASE WHEN bool_or('SPONSORED_BRANDS' = ANY(t.not_served)
              OR t.not_served_since IS NOT NULL AND t.last_loaded_at IS NULL
                 AND 'SB' = ANY(string_to_array(t.report, '+'))) THEN 'SPONSORED_BRANDS' END,
         CASE WHEN bool_or('SPONSORED_DISPLAY' = ANY(t.not_served)
              OR t.not_served_since IS NOT NULL AND t.last_loaded_at IS NULL
                 AND 'SD' = ANY(string_to_array(t.report, '+'))) THEN 'SPONSORED_DISPLAY' END], NULL) AS not_served,
       CASE WHEN bool_or('SB' = ANY(string_to_array(t.report, '+')))
            THEN ARRAY(SELECT c.name FROM (
    SELECT c.campaign_id, coalesce(c.name, c.campaign_id) AS name,
           is_deliverable(c) AS is_deliverable, c.budget, c.budget_recurrence, c.currency_code,
           c.start_date AS first_date,
           least(c.end_date,
                 CAST((CASE WHEN c.state <> 'ENABLED' THEN coalesce(c.updated_at, c.seen_at)
                            WHEN c.gone_since IS NOT NULL THEN c.missing_since END)
                      AT TIME ZONE a.time_zone AS date)) AS last_date
      FROM campaigns c
     WHERE c.account_id = a.account_id AND c.country_code = a.country_code AND NOT c.is_reported) c
         WHERE (t.window_date >= c.first_date) IS NOT FALSE AND (t.window_date <= c.last_date) IS NOT FALSE ORDER BY c.name, c.campaign_id) ELSE '{}' END AS left_out
  FROM (
SELECT w.account_id, w.country_code, a.account_key, w.dataset, w.report, w.window_date,
       s.state,
       CASE s.state
            WHEN 'paused'
            THEN jsonb_build_object(
                     'code', 'account-paused',
                     'detail', jsonb_strip_nulls(
                         jsonb_build_object('by', a.paused_by, 'account', a.account_key)))
            WHEN 'disabled' THEN jsonb_build_object('code', 'account-disabled')
            WHEN 'needs attention' THEN o.needs_attention
            WHEN 'expired' THEN jsonb_build_object('code', 'expired')
            WHEN 'late at Amazon' THEN jsonb_build_object('code', 'late-at-amazon')
            WHEN 'late' THEN jsonb_build_object('code', 'overdue')
            ELSE CASE WHEN w.request_id IS NULL THEN w.cause ELSE r.cause END END,
       CASE s.state
            WHEN 'late at Amazon' THEN r.late_at
            WHEN 'paused' THEN a.paused_at
            WHEN 'needs attention' THEN o.needs_attention_since
            WHEN 'expired' THEN w.expires_at
            WHEN 'not served' THEN w.not_served_since
            WHEN 'late' THEN d.due_since
            WHEN 'due'
            THEN CASE WHEN d.due_since <= now() THEN d.due_since ELSE w.wanted_at END
            WHEN 'fresh' THEN w.last_loaded_at
            WHEN 'failed' THEN w.cause_since
            WHEN 'suspicious' THEN w.cause_since
            WHEN 'unconfirmed' THEN w.cause_since
            ELSE w.last_requested_at END,
       CASE WHEN s.state IN ('loading', 'requested', 'late at Amazon') THEN r.next_step_at
            WHEN s.state IN ('late', 'due')
            THEN greatest(now(),
                          CASE WHEN w.wanted_by IS NULL THEN o.next_run_at END)
            WHEN s.state NOT IN ('paused', 'disabled', 'needs attention', 'expired')
            THEN w.next_refresh_at END,
       CASE WHEN w.not_served_since IS NULL THEN w.data_as_of END,
       w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now()),
       w.status, w.request_id, w.suspicious_digest IS NOT NULL, w.next_refresh_at, w.wanted_by,
       w.last_loaded_at, w.last_requested_at, w.expires_at, w.row_count, d.due_since,
       w.data_as_of, w.not_served_since, w.not_served
  FROM report_windows w
  JOIN advertiser_accounts a ON a.account_id = w.account_id AND a.country_code = w.country_code
  JOIN ads_accounts o ON o.account_id = w.account_id
  LEFT JOIN report_requests r ON r.id = w.request_id
 CROSS JOIN LATERAL (SELECT greatest(w.next_refresh_at, a.first_seen_at, o.next_run_at) AS due_since) d
 CROSS JOIN LATERAL (SELECT
       CASE WHEN a.paused THEN 'paused'
            WHEN a.amazon_status = 'DISABLED' THEN 'disabled'
            WHEN o.needs_attention IS NOT NULL THEN 'needs attention'
            WHEN w.request_id IS NOT NULL
            THEN CASE WHEN r.status = 'completed' THEN 'loading'
                      WHEN r.status = 'in_flight' AND r.late_at <= now()
                      THEN 'late at Amazon'
                      ELSE 'requested' END
            WHEN w.last_loaded_at IS NULL AND w.expires_at <= now() THEN 'expired'
            WHEN w.status = 'not_served' THEN 'not served'
            WHEN w.expires_at <= now() THEN 'fresh'
            WHEN w.status = 'failed' THEN 'failed'
            WHEN w.status = 'unconfirmed' THEN 'unconfirmed'
            WHEN w.suspicious_digest IS NOT NULL THEN 'suspicious'
            WHEN w.next_refresh_at IS NOT NULL
             AND d.due_since <= now() - interval '12 hours' THEN 'late'
            WHEN w.wanted_by IS NOT NULL OR w.next_refresh_at <= now() THEN 'due'
            WHEN w.last_loaded_at IS NULL THEN 'missing'
            ELSE 'fresh' END AS state) s
) t(account_id, country_code, account_key, dataset, report, window_date, state, cause, since, next_at, as_of, is_final)
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code
 GROUP BY a.account_id, a.country_code, t.dataset, t.window_date;
COMMENT ON VIEW reports.days IS 'Which days of each dataset are loaded. One row is a day of a dataset of an account, so a join by account, dataset and day does not multiply rows. Check this view for each sum: a sum lacks some or all data of days that are not complete.';
COMMENT ON COLUMN reports.days.account_key IS 'Key of the account: an ads account in one country.';
COMMENT ON COLUMN reports.days.account_name IS 'Name of the account.';
COMMENT ON COLUMN reports.days.country_code IS 'Country of the account: two letters, GB for the United Kingdom.';
COMMENT ON COLUMN reports.days.currency_code IS 'Currency of the account.';
COMMENT ON COLUMN reports.days.dataset IS 'Name of the dataset and of its view.';
COMMENT ON COLUMN reports.days.window_date IS 'Day of the account''s own calendar.';
COMMENT ON COLUMN reports.days.state IS 'State of the day''s worst report, one of these, from best to worst: fresh, missing, due, requested, loading, not served, paused, disabled, late at Amazon, late, suspicious, unconfirmed, needs attention, failed, expired. A day that is not fresh may still have data. A day is late if it has been due for longer than 12 hours.';
COMMENT ON COLUMN reports.days.cause IS 'Code of the cause of that report''s problem, if any.';
COMMENT ON COLUMN reports.days.as_of IS 'When the oldest of the loaded reports was requested. Null if no report is loaded.';
COMMENT ON COLUMN reports.days.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.';
COMMENT ON COLUMN reports.days.is_complete IS 'Whether every report of the day that Amazon serves is loaded. If it is false, sums of the day are too small. If it is true, `not_served` and `left_out` of `reports.days` may still list ad products and campaigns without data.';
COMMENT ON COLUMN reports.days.next_at IS 'When the next step of a report is due, if any.';
COMMENT ON COLUMN reports.days.not_served IS 'Ad products that Amazon does not serve for this day. They have no rows, which does not mean zero.';
COMMENT ON COLUMN reports.days.left_out IS 'Names of Sponsored Brands campaigns that may have run on this day and that Amazon leaves out of its reports, since they have no ad groups. The day counts as complete without them.';

CREATE VIEW reports.report_days AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       a.currency_code,
       t.dataset,
       t.report,
       t.window_date,
       t.state,
       t.cause ->> 'code' AS cause,
       t.as_of,
       t.is_final,
       t.next_at,
       array_remove(ARRAY[CASE WHEN ('SPONSORED_PRODUCTS' = ANY(t.not_served)
              OR t.not_served_since IS NOT NULL AND t.last_loaded_at IS NULL
                 AND 'SP' = ANY(string_to_array(t.report, '+'))) THEN 'SPONSORED_PRODUCTS' END,
         CASE WHEN ('SPONSORED_BRANDS' = ANY(t.not_served)
              OR t.not_served_since IS NOT NULL AND t.last_loaded_at IS NULL
                 AND 'SB' = ANY(string_to_array(t.report, '+'))) THEN 'SPONSORED_BRANDS' END,
         CASE WHEN ('SPONSORED_DISPLAY' = ANY(t.not_served)
              OR t.not_served_since IS NOT NULL AND t.last_loaded_at IS NULL
                 AND 'SD' = ANY(string_to_array(t.report, '+'))) THEN 'SPONSORED_DISPLAY' END], NULL) AS not_served,
       CASE WHEN ('SB' = ANY(string_to_array(t.report, '+')))
            THEN ARRAY(SELECT c.name FROM (
    SELECT c.campaign_id, coalesce(c.name, c.campaign_id) AS name,
           is_deliverable(c) AS is_deliverable, c.budget, c.budget_recurrence, c.currency_code,
           c.start_date AS first_date,
           least(c.end_date,
                 CAST((CASE WHEN c.state <> 'ENABLED' THEN coalesce(c.updated_at, c.seen_at)
                            WHEN c.gone_since IS NOT NULL THEN c.missing_since END)
                      AT TIME ZONE a.time_zone AS date)) AS last_date
      FROM campaigns c
     WHERE c.account_id = a.account_id AND c.country_code = a.country_code AND NOT c.is_reported) c
         WHERE (t.window_date >= c.first_date) IS NOT FALSE AND (t.window_date <= c.last_date) IS NOT FALSE ORDER BY c.name, c.campaign_id) ELSE '{}' END AS left_out
  FROM (
SELECT w.account_id, w.country_code, a.account_key, w.dataset, w.report, w.window_date,
       s.state,
       CASE s.state
            WHEN 'paused'
            THEN jsonb_build_object(
                     'code', 'account-paused',
                     'detail', jsonb_strip_nulls(
                         jsonb_build_object('by', a.paused_by, 'account', a.account_key)))
            WHEN 'disabled' THEN jsonb_build_object('code', 'account-disabled')
            WHEN 'needs attention' THEN o.needs_attention
            WHEN 'expired' THEN jsonb_build_object('code', 'expired')
            WHEN 'late at Amazon' THEN jsonb_build_object('code', 'late-at-amazon')
            WHEN 'late' THEN jsonb_build_object('code', 'overdue')
            ELSE CASE WHEN w.request_id IS NULL THEN w.cause ELSE r.cause END END,
       CASE s.state
            WHEN 'late at Amazon' THEN r.late_at
            WHEN 'paused' THEN a.paused_at
            WHEN 'needs attention' THEN o.needs_attention_since
            WHEN 'expired' THEN w.expires_at
            WHEN 'not served' THEN w.not_served_since
            WHEN 'late' THEN d.due_since
            WHEN 'due'
            THEN CASE WHEN d.due_since <= now() THEN d.due_since ELSE w.wanted_at END
            WHEN 'fresh' THEN w.last_loaded_at
            WHEN 'failed' THEN w.cause_since
            WHEN 'suspicious' THEN w.cause_since
            WHEN 'unconfirmed' THEN w.cause_since
            ELSE w.last_requested_at END,
       CASE WHEN s.state IN ('loading', 'requested', 'late at Amazon') THEN r.next_step_at
            WHEN s.state IN ('late', 'due')
            THEN greatest(now(),
                          CASE WHEN w.wanted_by IS NULL THEN o.next_run_at END)
            WHEN s.state NOT IN ('paused', 'disabled', 'needs attention', 'expired')
            THEN w.next_refresh_at END,
       CASE WHEN w.not_served_since IS NULL THEN w.data_as_of END,
       w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now()),
       w.status, w.request_id, w.suspicious_digest IS NOT NULL, w.next_refresh_at, w.wanted_by,
       w.last_loaded_at, w.last_requested_at, w.expires_at, w.row_count, d.due_since,
       w.data_as_of, w.not_served_since, w.not_served
  FROM report_windows w
  JOIN advertiser_accounts a ON a.account_id = w.account_id AND a.country_code = w.country_code
  JOIN ads_accounts o ON o.account_id = w.account_id
  LEFT JOIN report_requests r ON r.id = w.request_id
 CROSS JOIN LATERAL (SELECT greatest(w.next_refresh_at, a.first_seen_at, o.next_run_at) AS due_since) d
 CROSS JOIN LATERAL (SELECT
       CASE WHEN a.paused THEN 'paused'
            WHEN a.amazon_status = 'DISABLED' THEN 'disabled'
            WHEN o.needs_attention IS NOT NULL THEN 'needs attention'
            WHEN w.request_id IS NOT NULL
            THEN CASE WHEN r.status = 'completed' THEN 'loading'
                      WHEN r.status = 'in_flight' AND r.late_at <= now()
                      THEN 'late at Amazon'
                      ELSE 'requested' END
            WHEN w.last_loaded_at IS NULL AND w.expires_at <= now() THEN 'expired'
            WHEN w.status = 'not_served' THEN 'not served'
            WHEN w.expires_at <= now() THEN 'fresh'
            WHEN w.status = 'failed' THEN 'failed'
            WHEN w.status = 'unconfirmed' THEN 'unconfirmed'
            WHEN w.suspicious_digest IS NOT NULL THEN 'suspicious'
            WHEN w.next_refresh_at IS NOT NULL
             AND d.due_since <= now() - interval '12 hours' THEN 'late'
            WHEN w.wanted_by IS NOT NULL OR w.next_refresh_at <= now() THEN 'due'
            WHEN w.last_loaded_at IS NULL THEN 'missing'
            ELSE 'fresh' END AS state) s
) t(account_id, country_code, account_key, dataset, report, window_date, state, cause, since, next_at, as_of, is_final)
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code;
COMMENT ON VIEW reports.report_days IS 'Which reports of a day are loaded. One row is a day of one report of an account. A dataset whose ad products are requested separately has several rows for each day. Join sums with `reports.days` instead, which has one row for each day of a dataset.';
COMMENT ON COLUMN reports.report_days.account_key IS 'Key of the account: an ads account in one country.';
COMMENT ON COLUMN reports.report_days.account_name IS 'Name of the account.';
COMMENT ON COLUMN reports.report_days.country_code IS 'Country of the account: two letters, GB for the United Kingdom.';
COMMENT ON COLUMN reports.report_days.currency_code IS 'Currency of the account.';
COMMENT ON COLUMN reports.report_days.dataset IS 'Name of the dataset and of its view.';
COMMENT ON COLUMN reports.report_days.report IS 'The ad products of the report, such as SP+SB+SD.';
COMMENT ON COLUMN reports.report_days.window_date IS 'Day of the account''s own calendar.';
COMMENT ON COLUMN reports.report_days.state IS 'State of the report, one of these, from best to worst: fresh, missing, due, requested, loading, not served, paused, disabled, late at Amazon, late, suspicious, unconfirmed, needs attention, failed, expired. A day that is not fresh may still have data. A day is late if it has been due for longer than 12 hours.';
COMMENT ON COLUMN reports.report_days.cause IS 'Code of the cause of a problem, if any.';
COMMENT ON COLUMN reports.report_days.as_of IS 'When the loaded report was requested: later events are not in the report. Null if no report is loaded.';
COMMENT ON COLUMN reports.report_days.is_final IS 'Whether the report was loaded for the last time; until then the data is provisional.';
COMMENT ON COLUMN reports.report_days.next_at IS 'When the next step is due, if any.';
COMMENT ON COLUMN reports.report_days.not_served IS 'Ad products of the report that Amazon does not serve for this day. They have no rows, which does not mean zero.';
COMMENT ON COLUMN reports.report_days.left_out IS 'Names of Sponsored Brands campaigns that may have run on this day and that Amazon leaves out of its reports, since they have no ad groups. The day counts as complete without them.';

INSERT INTO session_change_cursor DEFAULT VALUES;

INSERT INTO installation (oldest_program, views_version) VALUES ('0001', 1);

CREATE TABLE alembic_version (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY);

INSERT INTO alembic_version VALUES ('0001');
