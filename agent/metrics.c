// SPDX-License-Identifier: GPL-2.0-or-later
#include "metrics.h"

#include "metrics_row.h"
#include "monotonic.h"

static void tell(struct scrape *s, const struct metrics_row *m)
{
	for (; m->name; m++) {
		exposition_family(&s->x, m->name, m->type, m->help);
		m->tell(s, m);
	}
}

char *metrics_text(struct flow *f, const struct api *api)
{
	struct scrape s = { .flow = f, .api = api, .now_ns = monotonic_ns() };

	if (exposition_open(&s.x) < 0)
		return NULL;
	s.has_module = drain_info(f->drain, &s.info) >= 0;
	tell(&s, metrics_node_rows);
	tell(&s, metrics_peer_rows);
	return exposition_close(&s.x);
}
