"""What `make install` places, and, where there is systemd, what that thinks of the service.

usage: install.py
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# systemd's own scale from 0 to 100; up to 20 it calls a service OK, a bare one has 96.
EXPOSURE_MAX = "15"


def run(*command, cwd=ROOT):
    done = subprocess.run(command, capture_output=True, check=False, cwd=cwd, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def placed(prefix):
    return sorted(str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file())


def main():
    with tempfile.TemporaryDirectory() as folder:
        # A DESTDIR, so that no user is made; the prefix within it is a real path, for the verifier.
        prefix = Path(folder) / "usr"
        make = ("make", "--no-print-directory", f"DESTDIR={folder}", "PREFIX=/usr")
        run(*make, "install")
        files = placed(prefix)
        for file in ("bin/aster-server", "lib/systemd/system/aster.service", "lib/sysusers.d/aster.conf"):
            assert file in files, f"{file} is not among {files}"
        program = prefix / "bin/aster-server"
        assert os.access(program, os.X_OK)
        assert run(program, "--version").startswith("aster-server ")
        unit = prefix / "lib/systemd/system/aster.service"
        text = unit.read_text()
        assert "\nExecStart=/usr/bin/aster-server\n" in text, text
        if shutil.which("systemd-analyze"):
            # As it would stand on a machine on which it is installed here.
            unit.write_text(text.replace("/usr/bin/aster-server", str(program)))
            assert "aster" not in run("systemd-analyze", "verify", unit)
            security = run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", unit)
            print(f"install: {security.splitlines()[-1].strip('→ ')}")
        else:
            print("install: there is no systemd here to verify the service")
        run(*make, "uninstall")
        assert placed(prefix) == [], placed(prefix)


main()
