"""The image store over HTTP: images by id, their headers, previews and pixels.

POST /images                       bytes -> 201 {"id", "sha256", "size"}
PUT  /images/{id}                  the same under an id of one's own
GET  /images/{id}                  with Range, If-Range, If-None-Match
GET  /images/{id}/header           [[keyword, value, comment], …]
GET  /images/{id}/preview.webp     ?size=&stretch=, also preview.jpg
GET  /images/{id}/pixels           ?bin=&x=&y=&w=&h=
"""
