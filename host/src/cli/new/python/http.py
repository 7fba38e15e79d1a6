"""Rotates the password of a user of NAME through its HTTP interface."""

from windlass import Service, export, http


class TYPE(Service):
    def login(self, credential):
        """Has to fail if the password is wrong: with Unauthorized, which `ok` makes of status 401."""
        user, password = credential.required("username"), credential.required("password")
        http.get("api", "/me", auth=(user, password)).ok()
        return user, password

    def change(self, session, new):
        user, password = new.required("username"), new.required("password")
        # Exposed: the service has to know whose password becomes which.
        path = "/users/" + http.segment(user.expose()) + "/password"
        http.put("api", path, auth=session, json={"password": password.expose()}).ok()


Rotator = export(TYPE)
