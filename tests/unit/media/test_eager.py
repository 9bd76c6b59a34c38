"""Nothing of PyAV is left to be loaded inside the box."""

import subprocess
import sys


def test_every_module_of_pyav_is_loaded_before_the_box():
    script = (
        "import sys, pkgutil, av, vidcompute.media.probe\n"
        "names = {m.name for m in pkgutil.walk_packages(av.__path__, 'av.')} - {'av.__main__'}\n"
        "print(sorted(n for n in names if n not in sys.modules and not n.startswith('av.datasets')))"
    )

    left = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert left.strip() == "[]"
