"""Signature files and keys that OpenSSF's package model-signing 1.1.1 and OpenSSL 3 made, for tests without either.

Signed was a folder with `edgefm.json` (the two bytes `{}`) and `saved_model/a.bin` (the byte `x`).
"""

from __future__ import annotations

FILES = {"edgefm.json": b"{}", "saved_model/a.bin": b"x"}

_PRIME256V1_SIG = (
    '{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"afe8'
    'fe428d56358d1f81ec4f31d0394d4e5a88284086523b29a46a01127cc15a"},"tlogEntries":[]},"dsseEnvelope":{"payload":"ew'
    "ogICJfdHlwZSI6ICJodHRwczovL2luLXRvdG8uaW8vU3RhdGVtZW50L3YxIiwKICAic3ViamVjdCI6IFsKICAgIHsKICAgICAgIm5hbWUiOiAi"
    "diIsCiAgICAgICJkaWdlc3QiOiB7CiAgICAgICAgInNoYTI1NiI6ICJhNzQ3M2VlYmFmNjdiODQ4YTE5MjBlODJjYTIyYzQzYjc3NjFmNTcxNW"
    "Q4ODk1Zjk4OTFjZTU5ZmFkNmVlMjcwIgogICAgICB9CiAgICB9CiAgXSwKICAicHJlZGljYXRlVHlwZSI6ICJodHRwczovL21vZGVsX3NpZ25p"
    "bmcvc2lnbmF0dXJlL3YxLjAiLAogICJwcmVkaWNhdGUiOiB7CiAgICAic2VyaWFsaXphdGlvbiI6IHsKICAgICAgIm1ldGhvZCI6ICJmaWxlcy"
    "IsCiAgICAgICJhbGxvd19zeW1saW5rcyI6IGZhbHNlLAogICAgICAiaGFzaF90eXBlIjogInNoYTI1NiIsCiAgICAgICJpZ25vcmVfcGF0aHMi"
    "OiBbCiAgICAgICAgIi5naXQiLAogICAgICAgICIuZ2l0YXR0cmlidXRlcyIsCiAgICAgICAgIi5naXRpZ25vcmUiLAogICAgICAgICIuZ2l0aH"
    "ViIgogICAgICBdCiAgICB9LAogICAgInJlc291cmNlcyI6IFsKICAgICAgewogICAgICAgICJuYW1lIjogImVkZ2VmbS5qc29uIiwKICAgICAg"
    "ICAiYWxnb3JpdGhtIjogInNoYTI1NiIsCiAgICAgICAgImRpZ2VzdCI6ICI0NDEzNmZhMzU1YjM2NzhhMTE0NmFkMTZmN2U4NjQ5ZTk0ZmI0Zm"
    "MyMWZlNzdlODMxMGMwNjBmNjFjYWFmZjhhIgogICAgICB9LAogICAgICB7CiAgICAgICAgIm5hbWUiOiAic2F2ZWRfbW9kZWwvYS5iaW4iLAog"
    "ICAgICAgICJhbGdvcml0aG0iOiAic2hhMjU2IiwKICAgICAgICAiZGlnZXN0IjogIjJkNzExNjQyYjcyNmIwNDQwMTYyN2NhOWZiYWMzMmY1Yz"
    'g1MzBmYjE5MDNjYzRkYjAyMjU4NzE3OTIxYTQ4ODEiCiAgICAgIH0KICAgIF0KICB9Cn0=","payloadType":"application/vnd.in-toto'
    '+json","signatures":[{"sig":"MEUCIA3A7SbAF7rZN4mp5zsLk4ztTfn6xnrN6ygIp2m3HW1OAiEAlW+vXgtJYizIh8o57o2Dr2m6IjAa1'
    'BClTEReL5D9BEo=","keyid":""}]}}'
)
_PRIME256V1_PUB = """\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEd1uWeikeyCDVPycSKiIfnqtCHpl0
XZABS6T6ZTWJGM8nbTDiBgWIKp+c2nb+P1egf8MUSQQeREjOcwOyN08G2g==
-----END PUBLIC KEY-----
"""

_SECP384R1_SIG = (
    '{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"4f50'
    '1173be05b908b279e73a97aea9104262a4f31da98a9957ed5d5cf60c2579"},"tlogEntries":[]},"dsseEnvelope":{"payload":"ew'
    "ogICJfdHlwZSI6ICJodHRwczovL2luLXRvdG8uaW8vU3RhdGVtZW50L3YxIiwKICAic3ViamVjdCI6IFsKICAgIHsKICAgICAgIm5hbWUiOiAi"
    "diIsCiAgICAgICJkaWdlc3QiOiB7CiAgICAgICAgInNoYTI1NiI6ICJhNzQ3M2VlYmFmNjdiODQ4YTE5MjBlODJjYTIyYzQzYjc3NjFmNTcxNW"
    "Q4ODk1Zjk4OTFjZTU5ZmFkNmVlMjcwIgogICAgICB9CiAgICB9CiAgXSwKICAicHJlZGljYXRlVHlwZSI6ICJodHRwczovL21vZGVsX3NpZ25p"
    "bmcvc2lnbmF0dXJlL3YxLjAiLAogICJwcmVkaWNhdGUiOiB7CiAgICAic2VyaWFsaXphdGlvbiI6IHsKICAgICAgImFsbG93X3N5bWxpbmtzIj"
    "ogZmFsc2UsCiAgICAgICJpZ25vcmVfcGF0aHMiOiBbCiAgICAgICAgIi5naXRhdHRyaWJ1dGVzIiwKICAgICAgICAiLmdpdCIsCiAgICAgICAg"
    "Ii5naXRpZ25vcmUiLAogICAgICAgICIuZ2l0aHViIgogICAgICBdLAogICAgICAibWV0aG9kIjogImZpbGVzIiwKICAgICAgImhhc2hfdHlwZS"
    "I6ICJzaGEyNTYiCiAgICB9LAogICAgInJlc291cmNlcyI6IFsKICAgICAgewogICAgICAgICJhbGdvcml0aG0iOiAic2hhMjU2IiwKICAgICAg"
    "ICAiZGlnZXN0IjogIjQ0MTM2ZmEzNTViMzY3OGExMTQ2YWQxNmY3ZTg2NDllOTRmYjRmYzIxZmU3N2U4MzEwYzA2MGY2MWNhYWZmOGEiLAogIC"
    "AgICAgICJuYW1lIjogImVkZ2VmbS5qc29uIgogICAgICB9LAogICAgICB7CiAgICAgICAgImFsZ29yaXRobSI6ICJzaGEyNTYiLAogICAgICAg"
    "ICJkaWdlc3QiOiAiMmQ3MTE2NDJiNzI2YjA0NDAxNjI3Y2E5ZmJhYzMyZjVjODUzMGZiMTkwM2NjNGRiMDIyNTg3MTc5MjFhNDg4MSIsCiAgIC"
    'AgICAgIm5hbWUiOiAic2F2ZWRfbW9kZWwvYS5iaW4iCiAgICAgIH0KICAgIF0KICB9Cn0=","payloadType":"application/vnd.in-toto'
    '+json","signatures":[{"sig":"MGUCMFFwLL1LS3lwmAHmBZbel4dU/QY+cODWqdXcA5PN7YSNSaqsF2g2UU66mftdr2QZGwIxAOJJCagG1'
    'knBNCDiFpzJz/QmfouAh77LhpHQTiqOcWBZBoD8t5y9UQd59RZNsPDKwQ==","keyid":""}]}}'
)
_SECP384R1_PUB = """\
-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEB7kkPy2pFVsfgeHsudIUYaMFX8f4u2nu
avQv+vRel9Bj15R6pIGm6og22jgSfEQ3L9aDbnJne85BBJIuvXoWhH/1ITDy6voN
yxV1T3IXFII8B4ayq/mYr/ZcXewb0CzO
-----END PUBLIC KEY-----
"""

_SECP521R1_SIG = (
    '{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"c9bc'
    '29e20a8ed202c5fe062445b259f9527afdb7f9e795297df38fa6d7ffdd5a"},"tlogEntries":[]},"dsseEnvelope":{"payload":"ew'
    "ogICJfdHlwZSI6ICJodHRwczovL2luLXRvdG8uaW8vU3RhdGVtZW50L3YxIiwKICAic3ViamVjdCI6IFsKICAgIHsKICAgICAgIm5hbWUiOiAi"
    "diIsCiAgICAgICJkaWdlc3QiOiB7CiAgICAgICAgInNoYTI1NiI6ICJhNzQ3M2VlYmFmNjdiODQ4YTE5MjBlODJjYTIyYzQzYjc3NjFmNTcxNW"
    "Q4ODk1Zjk4OTFjZTU5ZmFkNmVlMjcwIgogICAgICB9CiAgICB9CiAgXSwKICAicHJlZGljYXRlVHlwZSI6ICJodHRwczovL21vZGVsX3NpZ25p"
    "bmcvc2lnbmF0dXJlL3YxLjAiLAogICJwcmVkaWNhdGUiOiB7CiAgICAicmVzb3VyY2VzIjogWwogICAgICB7CiAgICAgICAgImFsZ29yaXRobS"
    "I6ICJzaGEyNTYiLAogICAgICAgICJkaWdlc3QiOiAiNDQxMzZmYTM1NWIzNjc4YTExNDZhZDE2ZjdlODY0OWU5NGZiNGZjMjFmZTc3ZTgzMTBj"
    "MDYwZjYxY2FhZmY4YSIsCiAgICAgICAgIm5hbWUiOiAiZWRnZWZtLmpzb24iCiAgICAgIH0sCiAgICAgIHsKICAgICAgICAiYWxnb3JpdGhtIj"
    "ogInNoYTI1NiIsCiAgICAgICAgImRpZ2VzdCI6ICIyZDcxMTY0MmI3MjZiMDQ0MDE2MjdjYTlmYmFjMzJmNWM4NTMwZmIxOTAzY2M0ZGIwMjI1"
    "ODcxNzkyMWE0ODgxIiwKICAgICAgICAibmFtZSI6ICJzYXZlZF9tb2RlbC9hLmJpbiIKICAgICAgfQogICAgXSwKICAgICJzZXJpYWxpemF0aW"
    "9uIjogewogICAgICAiYWxsb3dfc3ltbGlua3MiOiBmYWxzZSwKICAgICAgImhhc2hfdHlwZSI6ICJzaGEyNTYiLAogICAgICAibWV0aG9kIjog"
    "ImZpbGVzIiwKICAgICAgImlnbm9yZV9wYXRocyI6IFsKICAgICAgICAiLmdpdCIsCiAgICAgICAgIi5naXRhdHRyaWJ1dGVzIiwKICAgICAgIC"
    'AiLmdpdGlnbm9yZSIsCiAgICAgICAgIi5naXRodWIiCiAgICAgIF0KICAgIH0KICB9Cn0=","payloadType":"application/vnd.in-toto'
    '+json","signatures":[{"sig":"MIGIAkIBpnWQrE+TKspmikFViQqo9pq/7ztp5XMEOEYgmv1lXxiAvRKB7THbXugrmj+vwyvK1tuwi/UzR'
    'WtEl7k1I1btt60CQgFuRsAflu9NCzbK+wfIfu69orKNlMQXsHQhy7UwljkVWrd+6v17+L3TQvnrpfaufipCOJX8droCh2nLjUyhXyjsOg==","'
    'keyid":""}]}}'
)
_SECP521R1_PUB = """\
-----BEGIN PUBLIC KEY-----
MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQByWgzU/yuDGYjIyAe0vCAZmH5DRhv
jPCTBt4fc412dXERzJoNP4r3Rp3J5WgHJKnHQ/UYvBDJaboOgPva1McLihIAD9qG
CotQY6D9QKMX+s4hDd/Yb5VDzM10q2q6AV+VhxGj7gzSypklNeJujOP1gwlOYEdu
8Kg2iHjhxKjB9lw9foM=
-----END PUBLIC KEY-----
"""

SIGNED = {
    "prime256v1": (_PRIME256V1_SIG, _PRIME256V1_PUB),
    "secp384r1": (_SECP384R1_SIG, _SECP384R1_PUB),
    "secp521r1": (_SECP521R1_SIG, _SECP521R1_PUB),
}
"""Curve -> signature file, public key."""
