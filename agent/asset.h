/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asset: files of the source tree that are built into the agent and served as they are. One is
 * added by a line in asset.c and one here, and a route whose handler calls api_reply_asset().
 */
#ifndef ASSET_H
#define ASSET_H

/**
 * struct asset - one of them
 * @begin, @end: its bytes; *@end is 0, so a text is a string
 * @type: for Content-Type
 * @policy: for Content-Security-Policy; NULL: nothing of it may run
 */
struct asset {
	const char *begin;
	const char *end;
	const char *type;
	const char *policy;
};

extern const struct asset asset_openapi;	/* docs/openapi.json */
/* The page for people: agent/assets/ */
extern const struct asset asset_page;
extern const struct asset asset_page_css;
extern const struct asset asset_page_js;

#endif
