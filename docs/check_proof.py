#!/usr/bin/env python3
"""Checks a proof that `action-service audit prove` printed, with nothing but Python.

    check_proof.py PROOF.json PUBLIC_KEY

PUBLIC_KEY is the base64 of 32 bytes, as `GET /v1/audit/key` gives it. docs/audit.md says what is
checked. The Ed25519 part is RFC 8032 as it stands there: slow, and good for checking only.
"""

import base64
import hashlib
import json
import sys

P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def sha256(data):
    return hashlib.sha256(data).digest()


def add(a, b):
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(scalar, point):
    product = (0, 1, 1, 0)
    while scalar > 0:
        if scalar & 1:
            product = add(product, point)
        point = add(point, point)
        scalar >>= 1
    return product


def equal(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def x_of(y, sign):
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P)
    if square % P == 0:
        return None if sign else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P != 0:
        x = x * SQRT_M1 % P
    if (x * x - square) % P != 0:
        return None
    return P - x if x & 1 != sign else x


def point_of(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    x = x_of(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = (x_of(BASE_Y, 0), BASE_Y, 1, x_of(BASE_Y, 0) * BASE_Y % P)


def is_signed(key, message, signature):
    a, r = point_of(key), point_of(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or a is None or r is None or s >= Q:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % Q
    return equal(multiply(s, BASE), add(r, multiply(h, a)))


def root_of(leaf, index, count, path):
    """RFC 9162, 2.1.3.2."""
    last = count - 1
    if index > last:
        return None
    for other in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            leaf = sha256(b"\x01" + other + leaf)
            while not index & 1 and index:
                index >>= 1
                last >>= 1
        else:
            leaf = sha256(b"\x01" + leaf + other)
        index >>= 1
        last >>= 1
    return leaf if last == 0 else None


def problem(proof, key):
    """Why the proof proves nothing; None if it does."""
    if proof["format"] != "action-service/proof/v1":
        return "another form of proof"
    seal = json.loads(proof["seal"])
    if base64.b64decode(seal["key"]) != key:
        return "the seal is signed with another key"
    message = b"action-service/seal/v1\n" + proof["seal"].encode()
    if not is_signed(key, message, base64.b64decode(proof["signature"])):
        return "the signature is not of this seal"
    position = seal["first"] + proof["index"]
    if not proof["event"].startswith('{"position":%d,' % position):
        return "the event does not say that it stands at position %d" % position
    leaf = sha256(b"\x00action-service/event/v1\n" + proof["event"].encode())
    path = [bytes.fromhex(other) for other in proof["path"]]
    root = root_of(leaf, proof["index"], seal["last"] - seal["first"] + 1, path)
    return None if root == bytes.fromhex(seal["root"]) else "the path does not lead to the root"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        proof = json.load(file)
    why = problem(proof, base64.b64decode(sys.argv[2]))
    print("nothing is proven: " + why if why else proof["event"])
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main())
