# What "make worker" gives to workerd, the runtime of Cloudflare Workers, to run the Worker on this machine.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "edge", worker = .edge),
    # "internet" is where fetch goes: here the origin may be on this machine.
    (name = "internet", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true))),
  ],
  sockets = [(name = "http", http = (), service = "edge")], # --socket-addr http=HOST:PORT
);

const edge :Workerd.Worker = (
  modules = [
    (name = "worker/worker.js", esModule = embed "worker.js"),
    (name = "worker/edge.js", esModule = embed "edge.js"),
    (name = "worker/site.js", esModule = embed "site.js"),
    (name = "worker/pages.js", esModule = embed "pages.js"),
    (name = "gate/token.js", esModule = embed "../gate/token.js"),
  ],
  compatibilityDate = "2025-11-01", # as in wrangler.jsonc
  compatibilityFlags = ["nodejs_compat"],
  bindings = [
    (name = "ORIGIN", fromEnvironment = "ORIGIN"),
    (name = "GATE_SECRETS", fromEnvironment = "GATE_SECRETS"),
  ],
);
