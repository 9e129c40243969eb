# Part of Inkstone. Licence: see LICENSE.
"""Keys, signed claims and `.creds` files of NATS, as its own tools make them.

OpenSSL makes the ed25519 keys and signs; the rest is base32, a checksum and JSON.
"""

import base64
import binascii
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import time

SEED = 18 << 3  # an S in base32
KINDS = {"operator": 14 << 3, "account": 0, "user": 20 << 3}  # O, A and U
WITHOUT_LIMIT = {name: -1 for name in ["subs", "data", "payload"]}


def base32(data):
    return base64.b32encode(data).decode().rstrip("=")


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Key:
    """A pair of keys of an operator, an account or a user."""

    count = 0

    def __init__(self, kind, folder):
        if not shutil.which("openssl"):
            sys.exit("keys for NATS need the program openssl, which is not installed")
        Key.count += 1
        self.kind = kind
        self.file = pathlib.Path(folder) / f"{kind}-{Key.count}.pem"
        self.openssl("genpkey", "-algorithm", "ed25519", "-out", self.file)
        prefix = KINDS[kind]
        # Both DER forms end with the 32 bytes of the key.
        public = self.openssl("pkey", "-in", self.file, "-pubout", "-outform", "DER")[-32:]
        secret = self.openssl("pkey", "-in", self.file, "-outform", "DER")[-32:]
        self.public = self.text(bytes([prefix]), public)
        # The five bits of the kind stand behind the five of the S.
        self.seed = self.text(bytes([SEED | prefix >> 5, (prefix & 31) << 3]), secret)

    @staticmethod
    def openssl(*words):
        return subprocess.run(
            ["openssl", *map(str, words)], check=True, capture_output=True).stdout

    @staticmethod
    def text(prefix, key):
        data = prefix + key
        return base32(data + binascii.crc_hqx(data, 0).to_bytes(2, "little"))

    def sign(self, data):
        text = self.file.with_suffix(".text")
        text.write_bytes(data)
        return self.openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.file, "-in", text)


def claim(subject, issuer, name, more, signer=None):
    """What an issuer says of a subject, signed: a JWT. Another signer makes it wrong."""
    claims = {"iat": int(time.time()), "iss": issuer.public, "name": name, "sub": subject.public,
              "nats": more | {"type": subject.kind, "version": 2}}
    claims["jti"] = base32(hashlib.sha256(json.dumps(claims).encode()).digest())
    parts = [base64url(json.dumps(part).encode())
             for part in ({"typ": "JWT", "alg": "ed25519-nkey"}, claims)]
    return ".".join([*parts, base64url((signer or issuer).sign(".".join(parts).encode()))])


class Operator:
    """An operator, its system account, and the accounts that it made."""

    def __init__(self, folder):
        self.folder, self.key = folder, Key("operator", folder)
        self.system = Key("account", folder)
        self.accounts = {self.system.public: self.account_claim(self.system, "SYS", {})}

    def account_claim(self, account, name, limits):
        limits = WITHOUT_LIMIT | {"imports": -1, "exports": -1, "wildcards": True, "conn": -1,
                                  "leaf": -1} | limits
        return claim(account, self.key, name, {"limits": limits})

    def add_account(self, name, disk, memory):
        """An account that may keep so many bytes in JetStream."""
        account = Key("account", self.folder)
        self.accounts[account.public] = self.account_claim(account, name, {
            "disk_storage": disk, "mem_storage": memory, "streams": -1, "consumer": -1})
        return account

    def config(self):
        """The part of the server's configuration that knows the operator and its accounts."""
        token = claim(self.key, self.key, "operator", {"system_account": self.system.public})
        known = "\n".join(f"  {name}: {text}" for name, text in self.accounts.items())
        return (f"operator: {token}\nsystem_account: {self.system.public}\nresolver: MEMORY\n"
                f"resolver_preload: {{\n{known}\n}}\n")


def write_credentials(file, account, user, subjects, signer=None, seed=None):
    """A user's `.creds` file in the usual form; who may use these subjects and no others.

    Returns what must stay secret: the seed, and the claim that goes with it.
    """
    allowed = {"allow": list(subjects)}
    token = claim(user, account, file.stem, WITHOUT_LIMIT | {"pub": allowed, "sub": allowed}, signer)
    seed = seed or user.seed
    file.write_text(f"""-----BEGIN NATS USER JWT-----
{token}
------END NATS USER JWT------

************************* IMPORTANT *************************
NKEY Seed printed below can be used to sign and prove identity.
NKEYs are sensitive and should be treated as secrets.

-----BEGIN USER NKEY SEED-----
{seed}
------END USER NKEY SEED------

*************************************************************
""", encoding="utf-8")
    return seed, token
