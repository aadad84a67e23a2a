"""What the pages' shells add to the application; it stands before every context that puts something into them."""

from litestar.config.app import AppConfig
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.template.config import TemplateConfig

from koinon.context import Context
from koinon.runtime import runtime_in
from koinon.web import homes, office, sign_in, wallet
from koinon.web.assets import asset, static_file
from koinon.web.errors import pages_for_people
from koinon.web.formats import DIRECTION, LANGUAGE
from koinon.web.headers import page_headers
from koinon.web.shells import Shells


class Pages(Context):
    """The shells, sign-in, errors as pages, and the headers of all of them, plugged into the application."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Open the shells for the contexts' panels."""
        shells = runtime_in(app_config).share(Shells((*wallet.PANELS, *office.PANELS)))
        shells.templates.globals.update(asset=asset, language=LANGUAGE, direction=DIRECTION)
        app_config.template_config = TemplateConfig(instance=JinjaTemplateEngine.from_environment(shells.templates))
        app_config.exception_handlers = pages_for_people(app_config.exception_handlers)
        app_config.before_send.append(page_headers(secure=runtime_in(app_config).settings.secure_cookies))
        app_config.route_handlers.extend([homes.router, sign_in.router, wallet.router, static_file])
        return app_config
