"""Nothing that could be a secret leaves the builder, and programs that know of keys are no keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from image.lab import write

from leyden_image.paths import IMAGE
from leyden_image.secret_scan import findings

BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n"
BEGIN, END = "-----BEGIN", "PRIVATE KEY-----"
TOKEN = "".join(["gh", "p_", "0123456789" * 3, "abcdef"])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("etc/ssl/a.pem", f"{BEGIN} {END}\n{BODY}", "contains a private key"),
        ("usr/share/a", f"text\n{BEGIN} RSA {END}\n{BODY}", "contains a private key"),
        (
            "usr/share/b",
            f"{BEGIN} RSA {END}\nProc-Type: 4,ENCRYPTED\nDEK-Info: x\n\n{BODY}",
            "contains a private key",
        ),
        ("etc/ssh/ssh_host_ed25519_key", "x", "is a host key of SSH"),
        ("root/.ssh/authorized_keys", "ssh-ed25519 AAAA", "lets somebody log in"),
        ("root/.ssh/id_ed25519", "x", "is a key of SSH"),
        ("var/lib/iwd/home.psk", "x", "password of a radio network"),
        ("userconf.txt", "pi:x", "sets a password"),
        ("etc/rauc/signer.key", "x", "is a private key"),
        ("opt/tool.conf", f"token is {TOKEN}", "contains an access token"),
        ("leyden.toml", '[wifi]\npassword = "hello"\n', "sets a password or token"),
        ("etc/shadow", "root:$6$abc$def:1::::::\n", "root has a password hash"),
        ("etc/shadow", "pi::1::::::\n", "pi has no password and may log in without one"),
        ("etc/passwd", "pi:abcdef:1000:1000::/:/bin/sh\n", "pi has a password hash"),
        ("etc/gshadow", "sudo:$6$abc::\n", "sudo has a password hash"),
    ],
)
def test_a_secret_is_named(tmp_path: Path, name: str, content: str, words: str) -> None:
    write(tmp_path, {name: content})
    assert [words in sentence for sentence in findings(tmp_path)] == [True]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("usr/lib/libcrypto.so.3", f"{BEGIN} RSA {END}\0not a key\0"),
        ("usr/lib/python3/pem.py", f'MARK = b"{BEGIN} {END}"\n'),
        ("etc/shadow", "root:*:1::::::\ndaemon:!*:1::::::\nsync:!:1::::::\n"),
        ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
        ("etc/gshadow", "root:*::\nsudo:!::\nvideo:::\n"),
        ("leyden.toml", '[wifi]\n# password = "what the router says"\n'),
        ("etc/ssl/certs/ca.pem", f"{BEGIN} CERTIFICATE-----\n{BODY}"),
    ],
)
def test_what_is_no_secret_is_let_pass(tmp_path: Path, name: str, content: str) -> None:
    write(tmp_path, {name: content})
    assert findings(tmp_path) == []


def test_what_the_builder_copies_as_it_is_holds_no_secret() -> None:
    for folder in ("boot", "boot-files", "layer", "device", "config"):
        assert findings(IMAGE / folder) == []
