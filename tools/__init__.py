"""Programs that write the docs and check the tree; the product never imports them."""
