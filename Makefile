# SPDX-License-Identifier: GPL-2.0-or-later
#
# The only door: every task of the house is a target here, and `make help`
# lists them. The build works by wildcards: a new file needs no line here.

VERSION := 0.1.0

# Where results go; set it to build beside another build.
BUILD ?= build
# The kernel to build the module for: 6.1, 6.12, rt, next (fetched, never installed), or
# a release whose headers are installed. KDIR= names a header tree outright.
KVER ?= $(if $(wildcard /lib/modules/$(shell uname -r)/build),$(shell uname -r),6.1)
KDIR ?=
# y: the module marks flows in the low half of nf_conn.status, see kmod/conntrack.h
FLYREP_LOW_MARKS ?=
# Which kernels and which tests check-vm and check-bats take.
KERNEL ?= 6.1 6.12
TEST ?=
# Seconds that check-fuzz gives to each target.
FUZZ_SECONDS ?= 10

PREFIX ?= /usr/local
DESTDIR ?=

ifeq ($(V),1)
Q :=
else
Q := @
MAKEFLAGS += --no-print-directory
endif
say = @printf '  %-7s %s\n'

CC := gcc
CLANG := clang
PKGS := libsystemd libmnl openssl libzstd jansson libmicrohttpd libcurl sqlite3
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null)

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wvla -Wformat=2 -Wundef -Wpointer-arith
BASE := -std=gnu11 -g $(WARN) -Iuapi -Ilib -D_GNU_SOURCE \
	-DFLYREP_VERSION='"$(VERSION)"' -pthread $(PKG_CFLAGS)
HARDEN := -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
	-fstack-clash-protection -fPIE -ffile-prefix-map=$(CURDIR)=.
HARDEN_LD := -pie -Wl,-z,relro,-z,now
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer

# Four builds of the same sources: as shipped, for the unit tests, for fuzzing, and as a node of the
# previous wire version, for the present one to be held to it.
CC_normal := $(CC)
CFLAGS_normal := $(BASE) $(HARDEN) $(CFLAGS)
CC_asan := $(CC)
CFLAGS_asan := $(BASE) -O1 $(SANITIZE)
CC_fuzz := $(CLANG)
CFLAGS_fuzz := $(BASE) -O1 $(SANITIZE) -fsanitize=fuzzer-no-link
CC_previous := $(CC)
CFLAGS_previous := $(CFLAGS_normal) -DFR_WIRE_VERSION=1
DIR_normal := $(BUILD)
DIR_asan := $(BUILD)/asan
DIR_fuzz := $(BUILD)/fuzz
DIR_previous := $(BUILD)/previous
# cli/http.c loads libcurl when it needs it.
LIBS := $(filter-out -lcurl,$(PKG_LIBS)) -pthread

lib_src := $(wildcard lib/*.c)
agent_src := $(filter-out agent/main.c,$(wildcard agent/*.c agent/hooks/*.c))
cli_src := $(filter-out cli/main.c,$(wildcard cli/*.c))
man_src := $(wildcard docs/man/*.scd)

products := $(if $(wildcard agent/main.c),$(BUILD)/flyrepd) \
	$(if $(wildcard cli/main.c),$(BUILD)/flyrep) \
	$(patsubst docs/man/%.scd,$(BUILD)/man/%,$(man_src))
unit_tests := $(patsubst selftests/unit/%.c,$(BUILD)/unit/%,$(wildcard selftests/unit/test_*.c))
fuzzers := $(patsubst selftests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard selftests/fuzz/fuzz_*.c))
kmod_tests := $(patsubst selftests/kmod/%.c,$(BUILD)/kmod-tests/%,$(wildcard selftests/kmod/*.c))
bench_tools := $(patsubst selftests/bench/%.c,$(BUILD)/bench/%,$(wildcard selftests/bench/*.c)) \
	$(BUILD)/previous/flyrepd

export BUILD FUZZ_SECONDS KERNEL TEST

all: tools module ## the agent, the command, the man pages and the module

tools: $(products) ## the same without the module
	@:

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | \
		while IFS='	' read -r t d; do printf '%-13s %s\n' "$$t" "$$d"; done

deps: ## install the Debian packages that building and testing need
	$(Q)selftests/deps

ifeq ($(PKG_CFLAGS)$(PKG_LIBS),)
ifneq ($(filter-out help deps check demo bench clean,$(or $(MAKECMDGOALS),all)),)
$(info libraries are missing ($(PKGS)): `make deps` installs them)
endif
endif

# --- user space -----------------------------------------------------------

# objects VARIANT: the rules and the archives of one of these builds
define objects
$$(DIR_$(1))/obj/%.o: %.c Makefile
	$$(say) CC $$@
	@mkdir -p $$(@D)
	$$(Q)$$(CC_$(1)) $$(CFLAGS_$(1)) $$(if $$(filter-out lib/%,$$<),-Iagent -Icli) \
		$$(if $$(filter selftests/kmod/%,$$<),$$(kselftest)) -MMD -MP -c $$< -o $$@

$$(DIR_$(1))/lib.a: $$(patsubst %.c,$$(DIR_$(1))/obj/%.o,$$(lib_src))
$$(DIR_$(1))/agent.a: $$(patsubst %.c,$$(DIR_$(1))/obj/%.o,$$(agent_src))
$$(DIR_$(1))/cli.a: $$(patsubst %.c,$$(DIR_$(1))/obj/%.o,$$(cli_src))
$$(DIR_$(1))/lib.a $$(DIR_$(1))/agent.a $$(DIR_$(1))/cli.a:
	$$(say) AR $$@
	@mkdir -p $$(@D)
	$$(Q)rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach v,normal asan fuzz previous,$(eval $(call objects,$(v))))

# What agent/asset.c builds in; the compiler does not see that it depends on them.
assets := docs/openapi.json $(wildcard agent/assets/*)
$(foreach v,normal asan fuzz previous,$(DIR_$(v))/obj/agent/asset.o): $(assets)

$(BUILD)/flyrepd: $(BUILD)/obj/agent/main.o $(BUILD)/agent.a $(BUILD)/lib.a
$(BUILD)/flyrep: $(BUILD)/obj/cli/main.o $(BUILD)/cli.a $(BUILD)/lib.a
$(BUILD)/previous/flyrepd: $(addprefix $(BUILD)/previous/,obj/agent/main.o agent.a lib.a)
$(BUILD)/flyrepd $(BUILD)/flyrep $(BUILD)/previous/flyrepd:
	$(say) LD $@
	$(Q)$(CC) $(HARDEN_LD) -o $@ $^ $(LIBS)

$(BUILD)/man/%: docs/man/%.scd
	$(say) SCDOC $@
	@mkdir -p $(@D)
	$(Q)scdoc <$< >$@.tmp && mv $@.tmp $@

# --- test programs --------------------------------------------------------

define link_unit
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ -lcmocka -lcurl $(LIBS)
endef
define link_fuzz
	$(say) LD $@
	$(Q)$(CLANG) $(SANITIZE) -fsanitize=fuzzer -o $@ $^ $(LIBS)
endef

# Of the command. It shares names with the agent, so a test has one of them.
$(BUILD)/unit/test_cli_%: $(BUILD)/asan/obj/selftests/unit/test_cli_%.o $(BUILD)/asan/cli.a $(BUILD)/asan/lib.a
	$(link_unit)
$(BUILD)/fuzz/fuzz_cli_%: $(BUILD)/fuzz/obj/selftests/fuzz/fuzz_cli_%.o $(BUILD)/fuzz/cli.a $(BUILD)/fuzz/lib.a
	$(link_fuzz)

$(BUILD)/unit/%: $(BUILD)/asan/obj/selftests/unit/%.o $(BUILD)/asan/agent.a $(BUILD)/asan/lib.a
	$(link_unit)
$(BUILD)/fuzz/fuzz_%: $(BUILD)/fuzz/obj/selftests/fuzz/fuzz_%.o $(BUILD)/fuzz/agent.a $(BUILD)/fuzz/lib.a
	$(link_fuzz)

# kselftest_harness.h comes from the kernel's source, see selftests/vm/kernel.
kselftest = -isystem $(shell selftests/vm/kernel source)/kselftest \
	-Wno-missing-prototypes

$(BUILD)/kmod-tests/%: $(BUILD)/obj/selftests/kmod/%.o $(BUILD)/agent.a $(BUILD)/lib.a
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(HARDEN_LD) -o $@ $^ $(LIBS)

$(BUILD)/bench/%: $(BUILD)/obj/selftests/bench/%.o $(BUILD)/agent.a $(BUILD)/lib.a
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(HARDEN_LD) -o $@ $^ $(LIBS)

unit-tests: $(unit_tests)
	@:
fuzzers: $(fuzzers)
	@:
kmod-tests: $(kmod_tests)
	@:
bench-tools: $(bench_tools)
	@:

-include $(shell find $(BUILD)/obj $(BUILD)/*/obj -name '*.d' 2>/dev/null)
.SECONDARY:
.DELETE_ON_ERROR:

# --- the module -----------------------------------------------------------

# Kbuild writes beside its sources, so each kernel gets a tree of links.
module_dir = $(abspath $(BUILD))/module/$(KVER)$(if $(filter y,$(FLYREP_LOW_MARKS)),-low)
kdir = $(or $(KDIR),$(if $(filter 6.1 6.12 rt next debug,$(KVER)),$(shell selftests/vm/kernel $(KVER)),/lib/modules/$(KVER))/build)

module: ## flyrep.ko, for KVER=6.1, 6.12, rt, next or a release, or KDIR=headers
	@mkdir -p $(module_dir)/src
	$(Q)exec 9>$(module_dir)/lock && flock 9 && \
	cp -rsf $(CURDIR)/kmod $(CURDIR)/uapi $(module_dir)/src/ && \
	find $(module_dir)/src -xtype l -delete && \
	$(if $(filter next,$(KVER)),selftests/vm/kbuild,$(MAKE)) \
		-C $(kdir) M=$(module_dir)/src/kmod \
		CONFIG_DEBUG_INFO_BTF_MODULES= FLYREP_LOW_MARKS=$(FLYREP_LOW_MARKS) \
		$(KBUILD_ARGS) modules && \
	cp $(module_dir)/src/kmod/flyrep.ko $(module_dir)/flyrep.ko

# A module that has the conntrack event notifier before ours, for the tests
foreign:
	@mkdir -p $(module_dir)/foreign
	$(Q)cp -rsf $(CURDIR)/selftests/vm/fixtures/foreign/. $(module_dir)/foreign/ && \
	$(if $(filter next,$(KVER)),selftests/vm/kbuild,$(MAKE)) \
		-C $(kdir) M=$(module_dir)/foreign CONFIG_DEBUG_INFO_BTF_MODULES= modules && \
	cp $(module_dir)/foreign/foreign.ko $(module_dir)/foreign.ko

# --- checks ---------------------------------------------------------------

check: ## everything, as CI runs it; installs what it needs
	$(Q)selftests/deps
	$(Q)selftests/check all

check-unit: ## unit tests and golden vectors, under ASan and UBSan
	$(Q)selftests/check unit

check-fuzz: ## each fuzz target for FUZZ_SECONDS, from its corpus
	$(Q)selftests/check fuzz

check-lint: ## checkpatch, sparse, cppcheck, shellcheck, codespell, includes
	$(Q)selftests/check lint

check-install: ## install and uninstall
	$(Q)selftests/check install

check-package: ## Debian packages: built, installed, upgraded, removed; by DKMS, in guests; KERNEL=
	$(Q)selftests/check package

check-walk: ## what README.md and docs/operations.md say, done by a new user in two guests
	$(Q)selftests/check walk

check-page: ## the page in a browser, with answers of agents and with an agent
	$(Q)selftests/check page

check-lab: ## that the lab itself reports silence, warnings and failures
	$(Q)selftests/check lab

check-vm: ## module tests in guests; KERNEL=6.1 or 6.12, TEST=part of a name
	$(Q)selftests/check vm

check-bats: ## product tests in guests; KERNEL=, TEST= as above
	$(Q)selftests/check bats

check-pair: ## two guests and a wire: module reload on one side, power failure; FLOWS=
	$(Q)selftests/check pair

check-faults: ## random writes and faults on agents in a guest, two dozen seeds; KERNEL=
	$(Q)selftests/check faults

soak: ## as many of these as wanted; SEEDS=, FIRST_SEED=, KERNEL=
	$(Q)SEEDS=$(or $(SEEDS),24) FIRST_SEED=$(or $(FIRST_SEED),1) KERNEL=$(or $(KERNEL),6.12) \
		selftests/faults/soak

check-rt: ## module tests on the PREEMPT_RT flavour of 6.1
	$(Q)selftests/check rt

check-next: ## module tests on the newest kernel there is, of the next release's backports
	$(Q)selftests/check next

check-debug: ## module tests on a debug kernel (KASAN, lockdep, kmemleak), built first
	$(Q)selftests/check debug

lint: check-lint

demo: ## a failover under traffic, in a guest; REPLICATE=no, KERNEL=6.12
	$(Q)selftests/deps
	$(Q)selftests/demo/run

bench: ## conntrackd and flyrep on the same load, and the instruction counts
	$(Q)selftests/deps
	$(Q)selftests/bench/run

# --- install --------------------------------------------------------------

bindir = $(DESTDIR)$(PREFIX)/bin
sbindir = $(DESTDIR)$(PREFIX)/sbin
mandir = $(DESTDIR)$(PREFIX)/share/man
compdir = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
# systemd and DKMS look in fixed places.
unitdir = $(DESTDIR)$(if $(filter /usr,$(PREFIX)),/lib,/etc)/systemd/system
sysusersdir = $(DESTDIR)$(if $(filter /usr,$(PREFIX)),/usr/lib,/etc)/sysusers.d
tmpfilesdir = $(DESTDIR)$(if $(filter /usr,$(PREFIX)),/usr/lib,/etc)/tmpfiles.d
catalogdir = $(DESTDIR)$(PREFIX)/lib/systemd/catalog
dkmsdir = $(DESTDIR)/usr/src/flyrep-$(VERSION)
libexecdir = $(DESTDIR)$(PREFIX)/lib/flyrep

unit_src := $(wildcard agent/*.service)
sysusers_src := $(wildcard agent/flyrep.sysusers)
tmpfiles_src := $(wildcard agent/flyrep.tmpfiles)
hook_src := $(wildcard agent/hooks/*.sh)
# The guide says "flywall replication ...". Where Flywall itself is installed, it has that name.
has_our_flywall = grep -qs '^\# Installed by flyrep' $(bindir)/flywall
mans = $(patsubst docs/man/%.scd,%,$(man_src))

install: tools install-dkms ## agent, command, unit, man pages and the module by DKMS; PREFIX=, DESTDIR=
	install -D -m 755 $(BUILD)/flyrepd $(sbindir)/flyrepd
	install -D -m 755 $(BUILD)/flyrep $(bindir)/flyrep
	if [ ! -e $(bindir)/flywall ] || $(has_our_flywall); then \
		install -m 755 cli/flywall.sh $(bindir)/flywall; \
	else echo "there is a flywall already: left as it is"; fi
	for m in $(mans); do install -D -m 644 $(BUILD)/man/$$m \
		$(mandir)/man$${m##*.}/$$m || exit; done
	mkdir -p $(unitdir)
	for u in $(unit_src); do sed 's|/usr/sbin/|$(PREFIX)/sbin/|g' $$u \
		>$(unitdir)/$$(basename $$u) || exit; done
	for f in $(sysusers_src); do install -D -m 644 $$f $(sysusersdir)/flyrep.conf || exit; done
	for f in $(tmpfiles_src); do install -D -m 644 $$f $(tmpfilesdir)/flyrep.conf || exit; done
	install -D -m 644 agent/flyrep.catalog $(catalogdir)/flyrep.catalog
	mkdir -p $(compdir)
	$(BUILD)/flyrep completion bash >$(compdir)/flyrep
	for f in $(hook_src); do install -D -m 755 $$f $(libexecdir)/$$(basename $$f .sh) || exit; done
	install -d -m 750 $(DESTDIR)/etc/flyrep
ifeq ($(DESTDIR),)
	dkms status -m flyrep -v $(VERSION) | grep -q . || dkms add -m flyrep -v $(VERSION)
	[ ! -e /lib/modules/$$(uname -r)/build ] || dkms install -m flyrep -v $(VERSION)
	! command -v systemd-sysusers >/dev/null || systemd-sysusers flyrep.conf
	[ ! -d /run/systemd/system ] || systemctl daemon-reload
	[ ! -d /run/systemd/system ] || systemd-tmpfiles --create flyrep.conf
	[ ! -d /run/systemd/system ] || journalctl --update-catalog
endif

# The module's sources, where DKMS takes them from.
install-dkms:
	rm -rf $(dkmsdir)
	install -d $(dkmsdir)
	cp -r kmod uapi docs/licenses $(dkmsdir)/
	sed 's/^PACKAGE_VERSION=.*/PACKAGE_VERSION="$(VERSION)"/' dkms.conf >$(dkmsdir)/dkms.conf

uninstall: ## take back what install put in place (/etc/flyrep stays)
ifeq ($(DESTDIR),)
	[ ! -d /run/systemd/system ] || systemctl disable --now $(notdir $(unit_src)) || true
	! dkms status -m flyrep -v $(VERSION) | grep -q . || dkms remove -m flyrep -v $(VERSION) --all
endif
	rm -rf $(dkmsdir) $(libexecdir)
	! $(has_our_flywall) || rm -f $(bindir)/flywall
	rm -f $(sbindir)/flyrepd $(bindir)/flyrep $(compdir)/flyrep \
		$(addprefix $(unitdir)/,$(notdir $(unit_src))) \
		$(sysusersdir)/flyrep.conf $(tmpfilesdir)/flyrep.conf $(catalogdir)/flyrep.catalog \
		$(foreach m,$(mans),$(mandir)/man$(subst .,,$(suffix $(m)))/$(m))
	-rmdir $(DESTDIR)/etc/flyrep 2>/dev/null
ifeq ($(DESTDIR),)
	[ ! -d /run/systemd/system ] || systemctl daemon-reload
endif

# What git knows of the tree is copied as it is now, so that nothing is built or left in it.
deb: ## the Debian packages, in $(BUILD)/deb
	$(Q)selftests/deps
	$(Q)rm -rf $(BUILD)/deb && mkdir -p $(BUILD)/deb/flyrep
	$(Q)git ls-files -z | \
		tar -c --null -T - | tar -x -C $(BUILD)/deb/flyrep
	$(Q)cd $(BUILD)/deb/flyrep && MAKEFLAGS= dpkg-buildpackage -us -uc

clean: ## remove what was built (the cache of kernels stays)
	$(Q)rm -rf $(BUILD)

.PHONY: all tools help deps module foreign unit-tests fuzzers kmod-tests bench-tools \
	check check-unit check-fuzz check-lint check-install check-package check-walk check-page check-lab check-vm \
	check-bats check-pair check-faults soak check-rt check-next check-debug lint demo bench clean install install-dkms uninstall deb
