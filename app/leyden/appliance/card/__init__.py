"""The card: what makes one flashed SD card this appliance, from the first boot on.

A card is the same for everybody until it is first started. Then it reads what its owner wrote on
the boot partition, takes its name from the board's serial number, makes its keys, and shows a code
with which the panel is claimed. Each program here runs by itself, once or at every boot, as root;
none can keep the appliance from coming up: what is wrong is left out and said, on the consoles and
in the notes that the panel shows.

Programs, `python -m leyden.appliance.card.<name>`; each takes `--root DIR` to work on a copy:

- `first_boot`: folders, keys, preseed, claim code
- `settings`: writes the settings into /etc, at every boot
- `certificates`: the device's certificate authority and the panel's certificate
- `claim_notice`: shows the claim code and where the panel is, until somebody has claimed it
- `wifi_fallback`: an access point while the configured network is out of reach

Parts:

- `places`, `naming`, `programs`: which file is where, how the machine is called, how programs begin
- `notes`, `consoles`: what people are told
- `boot_partition`: writing on what is mounted read-only
- `text_file`, `statements`, `sections`, `wishes`, `values`, `judging`, `preseed`, `imager`: from
  bytes on the boot partition to wishes, and what is wrong with them
- `intake`, `merging`, `wiping`: takes wishes over and wipes their secrets
- `record`, `rendering`: the settings, and the files that are made of them
- `authority`, `certificate_facts`: keys and certificates, and what is known of them without opening
- `claiming`, `addresses`: the claim code, and where the panel can be reached
- `fallback`, `iwd`: when the access point is up, and the radio that does it
- `factory_reset`: forgets everything at the next start
"""
