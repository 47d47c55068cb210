"""The page that shows a campaign: tables in, one HTML file out, without script or network.

`facts` reads the tables, `charts` draws them as SVG that takes the page's colours, `pictures` makes
thumbnails of images, `words` says what was found, and `page` puts it all into the templates.
"""
