a = <<-EOT
  x $${y}
    z
  EOT
zone "l\u00e4n" two {
 b = [1, -2, 3.5e1, null]
}
/* c */ // d
# e
