"""Writes the wheel named by the argument: a package `hello` with one module and one command, as no index is asked."""

import base64
import hashlib
import sys
import zipfile

FILES = {
    "hello/__init__.py": "def main():\n    print('hello from the mount')\n",
    "hello/__main__.py": "from hello import main\n\nmain()\n",
    "hello-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n",
    "hello-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: meshfs\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "hello-1.0.dist-info/entry_points.txt": "[console_scripts]\nhello = hello:main\n",
}

with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    record = ""
    for name, text in FILES.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        record += f"{name},sha256={digest},{len(text)}\n"
        wheel.writestr(name, text)
    wheel.writestr("hello-1.0.dist-info/RECORD", record + "hello-1.0.dist-info/RECORD,,\n")
