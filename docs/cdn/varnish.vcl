# Varnish as an edge: /etc/varnish/default.vcl, with "-p pipe_timeout=600". It speaks no TLS: hitch, or
# another of these, stands before it.
vcl 4.1;

backend origin {
	.host = "10.0.0.2";
	.port = "8080";
}

sub vcl_recv {
	unset req.http.X-Forwarded-For;
	if (req.http.Upgrade ~ "(?i)^websocket$") {
		return (pipe);
	}
	return (pass);
}

sub vcl_pipe {
	set bereq.http.Upgrade = req.http.Upgrade;
	set bereq.http.Connection = req.http.Connection;
	unset bereq.http.X-Forwarded-For;
}

sub vcl_deliver {
	unset resp.http.Via;
	unset resp.http.X-Varnish;
	unset resp.http.Age;
}
