"""The HTTP API and its page, over the ports that the dispatcher has (docs/web.md). Off until WEB=true.

http.py       requests, answers and problems as values: no server is in it
routes.py     which request is answered by what, and who may ask it; `Web.answer` is the whole of it
caller.py     who asks: App Service authentication, the function's key, or this machine
scenes.py     what is read: lists, one scene, links to its files
changes.py    what is changed: retry, cancel, delete
uploads.py    permission to send one blob
documents.py  what is answered and taken, typed; openapi.py makes the OpenAPI document of them
wiring.py     puts it together from the environment; trigger.py is the function
"""
