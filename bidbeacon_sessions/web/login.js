// The login form posts to its own address, so that `?next=` survives; this shows that the token was wrong.
document.getElementById("wrong")?.toggleAttribute("hidden", !new URLSearchParams(location.search).has("wrong"));
