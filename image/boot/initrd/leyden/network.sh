# Wired networks for recovery: every interface up, an address by DHCP and one that is always there.
# shellcheck shell=sh

# Brings up what is there already; DIRECT is the address that every interface gets besides.
network_prepare() { # DIRECT
	NETWORK_DIRECT=$1
	NETWORK_KNOWN=' '
	ip link set lo up
	network_follow
}

# Takes in interfaces that have appeared since. A board with nothing but a USB socket that can be a
# device, as a Pi Zero 2 W, becomes a network adapter of the computer it is plugged into.
network_follow() {
	for socket in "$SYS"/class/udc/*; do
		[ ! -e "$socket" ] || modprobe -q g_ether
	done
	for interface in "$SYS"/class/net/*; do
		[ -e "$interface/device" ] || continue
		interface=${interface##*/}
		case $NETWORK_KNOWN in *" $interface "*) continue ;; esac
		NETWORK_KNOWN="$NETWORK_KNOWN$interface "
		network_start "$interface"
	done
}

network_start() { # INTERFACE
	ip link set "$1" up
	# One such address can serve one network only; it belongs to the first that has a cable.
	ip addr add "$NETWORK_DIRECT/16" dev "$1" scope link 2> /dev/null
	# Asks for an address for as long as it takes, in a process of its own.
	udhcpc -f -i "$1" -t 3 -T 2 -A 5 -s /leyden/lease -x hostname:leyden-recovery \
		> /dev/null 2>&1 &
}

# The addresses at which a browser finds the page, one a line; those by DHCP first.
network_addresses() {
	{
		ip -4 -o addr show scope global
		ip -4 -o addr show scope link
	} | awk '{ sub("/.*", "", $4); if (!seen[$4]++) print $4 }'
}
