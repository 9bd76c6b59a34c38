"""What is seen: frames, scenes, anchors, measured facts, text on screen.

`analyst.analyse` reads the small pictures of the one decode and runs inside the box; `ocr.Reader` reads
the anchors' JPEGs in a process of its own. Nothing here knows a path except the folder it writes to.
"""
