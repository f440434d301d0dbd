"""What characters are to the TensorFlow Text release that `tf_text` means, 2.21.1: what `unicode_table` lacks for it.

Two libraries in it know characters. RE2, which finds marks, punctuation, control and format characters, is of Unicode
15.0; ICU, which folds case, decomposes and orders, is of Unicode 16.0. Both agree with `unicode_table` on all that was
assigned before. Made by `tests/support/make_tf_text_table.py`.
"""

from berthub.tokenization.unicode_table import ranges_of

__all__ = [
    "NEWER_COMBINING",
    "NEWER_CONTROL",
    "NEWER_DECOMPOSED",
    "NEWER_FOLDED",
    "NEWER_MARK",
    "NEWER_PUNCTUATION",
    "NEWER_STAYING",
]


def _strings(text: str) -> dict[str, str]:
    """Characters, and what they become."""
    pairs = (word.split(":") for word in text.split())
    return {chr(int(code, 16)): "".join(chr(int(part, 16)) for part in parts.split("+")) for code, parts in pairs}


def _classes(text: str) -> dict[str, int]:
    """Characters, and their combining classes."""
    pairs = (word.split(":") for word in text.split())
    return {chr(int(code, 16)): int(number) for code, number in pairs}


# In RE2: Mn, Cc and Cf, P*.

NEWER_MARK = ranges_of("""
ece 10efd-10eff 11241 11f00-11f01 11f36-11f3a 11f40 11f42 13440 13447-13455 1e08f 1e4ec-1e4ef
""")

NEWER_CONTROL = ranges_of("""
13439-1343f
""")

NEWER_PUNCTUATION = ranges_of("""
11b00-11b09 11f43-11f4f
""")

# In ICU: the canonical decomposition, which is composed again, that of NFKC_Casefold, and the combining class.

NEWER_DECOMPOSED = _strings("""
105c9:105d2+307 105e4:105da+307 11383:11382+113c9 11385:11384+113bb 1138e:1138b+113c2 11391:11390+113c9
113c5:113c2+113c2 113c7:113c2+113b8 113c8:113c2+113c9 16121:1611e+1611e 16122:1611e+16129 16123:1611e+1611f
16124:16129+1611f 16125:1611e+16120 16126:1611e+1611e+1611f 16127:1611e+16129+1611f 16128:1611e+1611e+16120
16d68:16d67+16d67 16d69:16d63+16d67 16d6a:16d63+16d67+16d67
""")

NEWER_FOLDED = _strings("""
1c89:1c8a a7cb:264 a7cc:a7cd a7da:a7db a7dc:19b 105c9:105d2+307 105e4:105da+307 10d50:10d70 10d51:10d71 10d52:10d72
10d53:10d73 10d54:10d74 10d55:10d75 10d56:10d76 10d57:10d77 10d58:10d78 10d59:10d79 10d5a:10d7a 10d5b:10d7b
10d5c:10d7c 10d5d:10d7d 10d5e:10d7e 10d5f:10d7f 10d60:10d80 10d61:10d81 10d62:10d82 10d63:10d83 10d64:10d84
10d65:10d85 11383:11382+113c9 11385:11384+113bb 1138e:1138b+113c2 11391:11390+113c9 113c5:113c2+113c2
113c7:113c2+113b8 113c8:113c2+113c9 16121:1611e+1611e 16122:1611e+16129 16123:1611e+1611f 16124:16129+1611f
16125:1611e+16120 16126:1611e+1611e+1611f 16127:1611e+16129+1611f 16128:1611e+1611e+16120 16d68:16d67+16d67
16d69:16d63+16d67 16d6a:16d63+16d67+16d67 1ccd6:61 1ccd7:62 1ccd8:63 1ccd9:64 1ccda:65 1ccdb:66 1ccdc:67 1ccdd:68
1ccde:69 1ccdf:6a 1cce0:6b 1cce1:6c 1cce2:6d 1cce3:6e 1cce4:6f 1cce5:70 1cce6:71 1cce7:72 1cce8:73 1cce9:74 1ccea:75
1cceb:76 1ccec:77 1cced:78 1ccee:79 1ccef:7a 1ccf0:30 1ccf1:31 1ccf2:32 1ccf3:33 1ccf4:34 1ccf5:35 1ccf6:36 1ccf7:37
1ccf8:38 1ccf9:39 1e030:430 1e031:431 1e032:432 1e033:433 1e034:434 1e035:435 1e036:436 1e037:437 1e038:438 1e039:43a
1e03a:43b 1e03b:43c 1e03c:43e 1e03d:43f 1e03e:440 1e03f:441 1e040:442 1e041:443 1e042:444 1e043:445 1e044:446
1e045:447 1e046:448 1e047:44b 1e048:44d 1e049:44e 1e04a:a689 1e04b:4d9 1e04c:456 1e04d:458 1e04e:4e9 1e04f:4af
1e050:4cf 1e051:430 1e052:431 1e053:432 1e054:433 1e055:434 1e056:435 1e057:436 1e058:437 1e059:438 1e05a:43a
1e05b:43b 1e05c:43e 1e05d:43f 1e05e:441 1e05f:443 1e060:444 1e061:445 1e062:446 1e063:447 1e064:448 1e065:44a
1e066:44b 1e067:491 1e068:456 1e069:455 1e06a:45f 1e06b:4ab 1e06c:a651 1e06d:4b1
""")

NEWER_COMBINING = _classes("""
897:230 10d69:230 10d6a:230 10d6b:230 10d6c:230 10d6d:230 10efd:220 10efe:220 10eff:220 113ce:9 113cf:9 113d0:9
11f41:9 11f42:9 1612f:9 1e08f:230 1e4ec:232 1e4ed:232 1e4ee:220 1e4ef:230 1e5ee:230 1e5ef:220
""")

# The combining characters of ICU that are no marks to RE2.

NEWER_STAYING = ranges_of("""
897 10d69-10d6d 113ce-113d0 11f41 1612f 1e5ee-1e5ef
""")
