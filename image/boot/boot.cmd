# Chooses a slot, counts the try before it is made, starts the slot's kernel: sourced by U-Boot.
#
# One script for every board and for QEMU's `virt`. Whoever sources it has set devtype (mmc, virtio,
# usb), devnum and distro_bootpart; U-Boot's own search for boot.scr does, and so does uboot.env.
#
# The environment lies in raw sectors, so that no file system has to work for a try to be counted:
#   LBA 0x800  primary, 8 KiB: written here and by Linux (/etc/fw_env.config)
#   LBA 0xc00  backup,  8 KiB: written by Linux only, once the primary is on the card
# Only the three counters are taken from it: nothing on the card can change what U-Boot does.

setenv boot_dev "${devtype} ${devnum}"
echo "Leyden: starting from ${boot_dev}"

# Where things are put. The kernel is unpacked to a 2 MiB boundary low in memory, where it stays; the
# rest lies above it, below 256 MiB, so that half a gigabyte minus the GPU's share is enough. QEMU's
# raspi machines keep their device tree at 0x08000000: nothing of ours reaches there.
setenv kernel_at 0x00200000
setenv work_at   0x05000000
setenv dtb_at    0x05800000
setenv packed_at 0x06000000
setenv initrd_at 0x09000000
if test "${board}" = "qemu-arm"; then
  setenv kernel_at 0x40200000
  setenv work_at   0x45000000
  setenv dtb_at    0x45800000
  setenv packed_at 0x46000000
  setenv initrd_at 0x49000000
fi

# --- the environment: primary, else backup, else what the card was born with
${devtype} dev ${devnum}
setenv counters "BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT"
setenv env_from ""
if ${devtype} read ${work_at} 0x800 0x10; then
  if env import -c ${work_at} 0x2000 ${counters}; then setenv env_from primary; fi
fi
if test -z "${env_from}"; then
  echo "Leyden: the boot environment is damaged; trying its backup"
  if ${devtype} read ${work_at} 0xc00 0x10; then
    if env import -c ${work_at} 0x2000 ${counters}; then setenv env_from backup; fi
  fi
fi
if test -z "${env_from}"; then
  echo "Leyden: the backup is damaged too; starting from the defaults: slot A, then slot B"
  setenv env_from defaults
  setenv BOOT_ORDER "A B"
  setenv BOOT_A_LEFT 3
  setenv BOOT_B_LEFT 3
fi
test -n "${BOOT_ORDER}" || setenv BOOT_ORDER "A B"
test -n "${BOOT_A_LEFT}" || setenv BOOT_A_LEFT 3
test -n "${BOOT_B_LEFT}" || setenv BOOT_B_LEFT 3
setenv tries "A ${BOOT_A_LEFT}, B ${BOOT_B_LEFT}"
echo "Leyden: boot environment from ${env_from}: order ${BOOT_ORDER}, tries left ${tries}"

# A board knows its serial number. Where none is known, as in QEMU's virt, it may come with the counters.
if test -z "${serial#}"; then
  if test "${env_from}" != "defaults"; then
    env import -c ${work_at} 0x2000 serial#
    if test -n "${serial#}"; then setenv counters "${counters} serial#"; fi
  fi
fi

# --- what every start has in common
setenv extra_args ""
if test -e ${boot_dev}:${distro_bootpart} extra-args.txt; then
  load ${boot_dev}:${distro_bootpart} ${work_at} extra-args.txt
  env import -t ${work_at} ${filesize} extra_args
  echo "Leyden: kernel arguments added from extra-args.txt: ${extra_args}"
fi
# The kernel would test each of its ciphers at every start, which takes a board about a second.
setenv common_args "net.ifnames=0 panic=10 pinctrl_bcm2835.persist_gpio_outputs=0"
setenv common_args "${common_args} cryptomgr.notests"
setenv common_args "${common_args} console=tty1 quiet leyden.environment=${env_from} ${extra_args}"

# The firmware's device tree knows this very board: memory, serial number, MAC address. A slot's own
# tree stands in only where there is none.
setenv dtb ""
if fdt addr ${fdt_addr}; then setenv dtb ${fdt_addr}; fi

setenv save 'env export -c -s 0x2000 ${work_at} ${counters}; ${devtype} write ${work_at} 0x800 0x10'
setenv unpack 'unzip ${packed_at} ${kernel_at} 0x4000000'
# Compares what has been loaded with a sum from the slot's start.sums: `unzip` looks at none. crc32
# leaves its word in memory with the bytes in either order, as U-Boot was built; the file has both.
setenv check 'crc32 ${at} ${filesize} ${work_at}; setexpr.l found *${work_at}; if test "${found}" != "${sum}"; then if test "${found}" != "${mus}"; then setenv fault ${suspect}-damaged; fi; fi'

# --- the slots, in order
setenv why ""
for slot in ${BOOT_ORDER}; do
  setenv part ""
  setenv left 0
  if test "${slot}" = "A"; then
    setenv part 2
    setenv left ${BOOT_A_LEFT}
  fi
  if test "${slot}" = "B"; then
    setenv part 3
    setenv left ${BOOT_B_LEFT}
  fi
  if test -z "${part}"; then
    echo "Leyden: BOOT_ORDER names ${slot}, which is no slot; passed over"
  elif test "${left}" -gt 0; then
    # Counted and written before anything of the slot is read: a file system that crashes U-Boot
    # must not be tried for ever.
    setexpr left ${left} - 1
    setenv BOOT_${slot}_LEFT ${left}
    echo "Leyden: trying slot ${slot}; tries left after this one: ${left}"
    run save || echo "Leyden: the card refuses writing; this try is not counted"
    setenv fault ""
    setenv kernel_sum ""
    setenv initrd_sum ""
    if load ${boot_dev}:${part} ${work_at} /start.sums; then
      env import -t ${work_at} ${filesize} kernel_sum kernel_mus initrd_sum initrd_mus
    else
      echo "Leyden: slot ${slot} has no /start.sums; its files are not checked"
    fi
    if load ${boot_dev}:${part} ${packed_at} /vmlinuz.gz; then
      setenv at ${packed_at}
      setenv sum ${kernel_sum}
      setenv mus ${kernel_mus}
      setenv suspect kernel
      if test -n "${sum}"; then run check; fi
      if test -z "${fault}"; then
        run unpack || setenv fault kernel-damaged
      fi
    else
      setenv fault kernel-unreadable
    fi
    if test -z "${fault}"; then
      if load ${boot_dev}:${part} ${initrd_at} /initrd.img; then
        setenv initrd_size ${filesize}
        setenv at ${initrd_at}
        setenv sum ${initrd_sum}
        setenv mus ${initrd_mus}
        setenv suspect initrd
        if test -n "${sum}"; then run check; fi
      else
        setenv fault initrd-unreadable
      fi
    fi
    if test -n "${fault}"; then
      echo "Leyden: slot ${slot} is not whole (${fault}); passed over"
    else
      setenv slot_dtb "${dtb}"
      if test -z "${dtb}"; then
        load ${boot_dev}:${part} ${dtb_at} /dtb/${fdtfile} && setenv slot_dtb ${dtb_at}
      fi
      # No rootwait: the initrd waits by itself, and a kernel without one has to panic and be counted
      # instead of waiting for ever.
      setenv bootargs "root=PARTUUID=4c45594e-0${part} ro leyden.slot=${slot} rauc.slot=${slot}"
      setenv bootargs "${bootargs} leyden.why=${why} ${common_args}"
      echo "Leyden: starting the kernel of slot ${slot}"
      booti ${kernel_at} ${initrd_at}:${initrd_size} ${slot_dtb}
      echo "Leyden: the kernel of slot ${slot} was refused; passed over"
      setenv fault kernel-refused
    fi
    setenv why "${why}${slot}:${fault},"
  else
    echo "Leyden: slot ${slot} has no tries left; passed over"
    setenv why "${why}${slot}:no-tries-left,"
  fi
done

# --- nothing starts: recovery from the boot partition; the next power-on tries the slots again
echo "Leyden: no slot can be started; starting recovery"
test -n "${why}" || setenv BOOT_ORDER "A B"
setenv BOOT_A_LEFT 3
setenv BOOT_B_LEFT 3
run save || echo "Leyden: the card refuses writing"
if load ${boot_dev}:${distro_bootpart} ${packed_at} /recovery/vmlinuz.gz; then
  if run unpack; then
    if load ${boot_dev}:${distro_bootpart} ${initrd_at} /recovery/initrd.img; then
      setenv bootargs "leyden.recovery=1 leyden.why=${why} ${common_args}"
      booti ${kernel_at} ${initrd_at}:${filesize} ${dtb}
    fi
  fi
fi
echo "Leyden: recovery cannot be started either. This card has to be written anew: see the manual,"
echo "Leyden: chapter When it does not start. Trying again in a minute."
sleep 60
reset
