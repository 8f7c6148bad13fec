replication {
  mode = "primary"
  node_id = "a"
  listen_addr = "[2001:db8::1]:9100"
  peers = [
    { id = "b", address = "192.0.2.2", role = "replica" },
    { id = "c", address = "[2001:db8::3]" },
  ]
  state_dir = "/srv/state"
  backlog = "256M"
  ring = 65536
  auth {
    secret_key = "0123456789abcdef0123456789abcdef"
    key_rotation = 0
  }
  transport = { protocol = "tcp", compression = false, encryption = true }
  sync {
    interval = "250ms"
    max_lag = 90
  }
  conntrack {
    min_state = "all"
    accept = ["udp"]
    ignore_networks = ["10.0.0.0/8", "2001:db8::/32"]
    zones = [0, 65535]
    mark = 16
    mark_mask = "0xFF"
    hold = "1h30m"
  }
  api { socket = "/run/x.sock" }
}
