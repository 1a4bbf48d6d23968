"""Has sslyze compare the server's TLS with Mozilla's intermediate profile.

usage: tls.py SERVER SSLYZE [--self-made]

The certificate is as certbot would bring one: P-256, 90 days, an issuer below a root that the
client knows. With --self-made it is that of a first start, which sslyze cannot find compliant: no
authority signed it, and it is for ten years, so that nobody has to renew it.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

CONFIG = '{"addr":"127.0.0.1","port":0}'
CERTIFICATES = """
set -e
key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out $1.pem; }
sign() {  # sign NAME SUBJECT DAYS ISSUER EXTENSIONS
    key $1.key
    printf '%b' "$5" > $1.ext
    openssl req -new -key $1.key.pem -subj "/CN=$2" -out $1.csr
    openssl x509 -req -in $1.csr -CA $4.pem -CAkey $4.key.pem -CAcreateserial -days $3 -sha256 \
        -extfile $1.ext -out $1.pem
}
AUTHORITY='basicConstraints=critical,CA:TRUE\\nkeyUsage=critical,keyCertSign,cRLSign\\nsubjectKeyIdentifier=hash\\n'
key root.key
openssl req -x509 -new -key root.key.pem -sha256 -days 3650 -subj '/CN=Root' -out root.pem \
    -addext keyUsage=critical,keyCertSign,cRLSign
sign issuer Issuer 1000 root "$AUTHORITY"'authorityKeyIdentifier=keyid\\n'
sign leaf localhost 90 issuer 'basicConstraints=critical,CA:FALSE\\nkeyUsage=critical,digitalSignature\\nextendedKeyUsage=serverAuth\\nsubjectAltName=DNS:localhost\\nsubjectKeyIdentifier=hash\\nauthorityKeyIdentifier=keyid\\n'
cat leaf.pem issuer.pem > cert.pem
install -m 600 leaf.key.pem key.pem
"""


def main(server, sslyze, self_made):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        arguments = [sslyze, "--mozilla_config=intermediate"]
        if not self_made:
            quiet = {"capture_output": True, "text": True}
            made = subprocess.run(["sh", "-c", CERTIFICATES], cwd=folder, **quiet)
            if made.returncode != 0:
                sys.exit(made.stderr)
            arguments.append(f"--certinfo_ca_file={folder / 'root.pem'}")
        (folder / "config.json").write_text(CONFIG)
        child = subprocess.Popen([server], cwd=folder, stderr=subprocess.PIPE, text=True)
        try:
            ready = (line for line in child.stderr if line.startswith("listening on "))
            port = next(ready).strip().rpartition(":")[2]
            done = subprocess.run(
                arguments + [f"localhost:{port}"], capture_output=True, text=True, timeout=120
            )
        finally:
            child.terminate()
            child.wait()
    _, found, verdict = done.stdout.partition(" COMPLIANCE AGAINST TLS CONFIGURATION")
    if done.returncode != 0 or not found:
        # All that it looked at, for whoever has to mend it.
        print(done.stdout, done.stderr, file=sys.stderr)
    print(verdict.strip(" -\n"))
    return done.returncode


if __name__ == "__main__":
    server, sslyze = (os.path.abspath(path) for path in sys.argv[1:3])
    sys.exit(main(server, sslyze, sys.argv[3:] == ["--self-made"]))
