// SPDX-License-Identifier: GPL-2.0-or-later
#include "asset.h"

/* ASSET NAME, FILE: asset_NAME is what FILE held when this was compiled, as the Makefile knows. */
#define ASSET(name, file, ...)                                                            \
	__asm__(".pushsection .rodata\n"                                                  \
		".hidden asset_" #name "_begin\n.globl asset_" #name "_begin\n"           \
		".hidden asset_" #name "_end\n.globl asset_" #name "_end\n"               \
		"asset_" #name "_begin:\n.incbin \"" file "\"\n"                          \
		"asset_" #name "_end:\n.byte 0\n"                                         \
		".popsection");                                                           \
	extern const char asset_##name##_begin[] __attribute__((visibility("hidden")));   \
	extern const char asset_##name##_end[] __attribute__((visibility("hidden")));     \
	const struct asset asset_##name = { asset_##name##_begin, asset_##name##_end, __VA_ARGS__ }

#define PAGE_POLICY \
	"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

ASSET(openapi, "docs/openapi.json", "application/json", 0);
ASSET(page, "agent/assets/page.html", "text/html; charset=utf-8", PAGE_POLICY);
ASSET(page_css, "agent/assets/page.css", "text/css; charset=utf-8", 0);
ASSET(page_js, "agent/assets/page.js", "text/javascript; charset=utf-8", 0);
